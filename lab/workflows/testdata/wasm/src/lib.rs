//! Stands for the gateway's WebAssembly module.

/// Adds one, as something has to be exported.
#[unsafe(no_mangle)]
pub extern "C" fn next(n: u32) -> u32 {
    n.wrapping_add(1)
}
