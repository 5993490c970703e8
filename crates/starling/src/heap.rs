//! How memory that was given back goes back to the system.

/// Has the C library keep little of what is given back. As it comes, it gives each of a node's threads a pool of its own, and keeps in them what large buffers
/// leave behind: a fifth of what a node takes would be memory that nothing needs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little() {
    const POOLS: i32 = 2;
    const LARGE_BYTES: i32 = 128 << 10;
    for (what, value) in [
        (libc::M_ARENA_MAX, POOLS),
        // Set once, they do not grow with the largest buffer that was ever given back.
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, LARGE_BYTES),
    ] {
        // SAFETY: it takes two numbers and changes how later allocations are made; no thread but this one runs yet.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Other systems' libraries do by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_little() {}
