/* How soon the allocator gives freed memory back to the system.
 *
 * mimalloc keeps it for a second by default, in which a few large bodies one after another add up to several times
 * what is ever held at once: the process would take far more memory than its byte budget says. MIMALLOC_PURGE_DELAY
 * in the environment still decides where it is set.
 */
#include <mimalloc.h>

static const long purge_delay_milliseconds = 10;

__attribute__((constructor)) static void configure(void) {
    mi_option_set_default(mi_option_purge_delay, purge_delay_milliseconds);
}
