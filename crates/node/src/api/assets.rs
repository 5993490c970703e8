//! The page, as `cargo xtask dashboard` builds it from `dashboard/`: compressed, and in the program.

/// A file of the page.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    /// Compressed with gzip.
    pub(crate) bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal, $file:literal, $kind:literal;)*) => {
        /// All files of the page.
        pub(crate) const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../../../../dashboard/dist/", $file, ".gz")),
        }),*];
    };
}

assets! {
    "/", "index.html", "text/html; charset=utf-8";
    "/app.js", "app.js", "text/javascript; charset=utf-8";
    "/app.css", "app.css", "text/css; charset=utf-8";
    "/icon.svg", "icon.svg", "image/svg+xml";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes <= 300_000, "the page has {bytes} bytes compressed: 300,000 are allowed");
        assert!(ASSETS.iter().all(|asset| asset.bytes.starts_with(&[0x1f, 0x8b])), "gzip");
    }
}
