/* How soon the allocator gives freed memory back to the system.
 *
 * By default mimalloc keeps it for a second, in which a few large bodies one after another add up to several times what
 * is ever held at once: the process would take far more memory than its byte budget says. What is large therefore comes
 * from the system and goes back at once: within the delay that the small blocks need to be used again cheaply, large
 * ones alone would add up to a third of a limit of 64 MiB. mimalloc has pages of up to 4 MiB for blocks of up to 512 KiB, as
 * most requests are: a bound below that would map and unmap one for nearly each of them. MIMALLOC_PURGE_DELAY and
 * MIMALLOC_ARENA_MAX_OBJECT_SIZE in the environment still decide where they are set.
 */
#include <mimalloc.h>

static const long purge_delay_milliseconds = 10;
static const long large_object_kibibytes = 4096;

__attribute__((constructor)) static void configure(void) {
    mi_option_set_default(mi_option_purge_delay, purge_delay_milliseconds);
    mi_option_set_default(mi_option_arena_max_object_size, large_object_kibibytes);
}
