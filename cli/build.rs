//! Compiles the settings of the allocator, which can only be given in C without `unsafe` code.

fn main() {
    println!("cargo::rerun-if-changed=allocator.c");
    let mut build = cc::Build::new();
    if let Some(headers) = std::env::var_os("DEP_MIMALLOC_INCLUDE_DIR") {
        build.include(headers);
    }
    // As an object, since nothing refers to what runs before `main`; and only into the binary, which has the allocator.
    for object in build.file("allocator.c").compile_intermediates() {
        println!("cargo::rustc-link-arg-bins={}", object.display());
    }
}
