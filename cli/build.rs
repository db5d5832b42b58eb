//! Compiles the settings of the allocator, which can only be given in C without `unsafe` code.

fn main() {
    println!("cargo::rerun-if-changed=allocator.c");
    let mut build = cc::Build::new();
    if let Some(headers) = std::env::var_os("DEP_MIMALLOC_INCLUDE_DIR") {
        build.include(headers);
    }
    // Whole, since nothing refers to what runs before `main`.
    build.file("allocator.c").link_lib_modifier("+whole-archive").compile("sluice_allocator");
}
