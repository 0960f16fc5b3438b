//! Puts the chat page and the API's page into the binary, compressed here and now: no request makes
//! the server compress anything. What was compressed before is found in cargo's output directory
//! under the hash of its content.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a build that cannot read its own files stops"
)]

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files of Swagger UI that its page loads; the archive has others, for other ways to use it.
const DOCS: [&str; 7] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "index.html",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

/// Takes the place of the one in the archive, which shows a pet shop.
const INITIALIZER: &str = r##"window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  })
}
"##;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut code = String::new();
    table(&mut code, "PAGE", page(), &out);
    table(&mut code, "DOCS", docs(), &out);
    fs::write(out.join("assets.rs"), code).unwrap();
}

/// The chat page, nothing where it was not built.
fn page() -> Vec<(String, Vec<u8>)> {
    let app = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("../../apps/chat");
    let built = app.join("dist");
    // A missing path would make every build run this again.
    println!(
        "cargo:rerun-if-changed={}",
        if built.is_dir() { &built } else { &app }.display()
    );
    let mut files = Vec::new();
    if built.is_dir() {
        read_all(&built, &built, &mut files);
    }
    files
}

fn read_all(root: &Path, directory: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(root, &path, files);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .expect("a name in UTF-8")
                .replace('\\', "/");
            files.push((name, fs::read(&path).unwrap()));
        }
    }
}

fn docs() -> Vec<(String, Vec<u8>)> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED)).unwrap();
    let root = archive
        .file_names()
        .next()
        .unwrap()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut files = vec![(
        "swagger-initializer.js".to_owned(),
        INITIALIZER.as_bytes().to_vec(),
    )];
    for name in DOCS {
        let mut bytes = Vec::new();
        archive
            .by_name(&format!("{root}/dist/{name}"))
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        files.push((name.to_owned(), bytes));
    }
    files
}

/// Writes a table of files, sorted by path.
fn table(code: &mut String, name: &str, mut files: Vec<(String, Vec<u8>)>, out: &Path) {
    files.sort();
    let entry = |(path, bytes): &(String, Vec<u8>)| {
        let hash: String =
            Sha256::digest(bytes)
                .iter()
                .take(16)
                .fold(String::new(), |mut text, byte| {
                    write!(text, "{byte:02x}").unwrap();
                    text
                });
        let kind = kind(path);
        let is_text = !matches!(kind, "font/woff2" | "image/png");
        let plain = kept(&out.join(&hash), || bytes.clone());
        // Where it saves nothing it is not offered.
        let smaller = |file: PathBuf| {
            (fs::metadata(&file).unwrap().len() < bytes.len() as u64 * 9 / 10).then_some(file)
        };
        let gzip = is_text
            .then(|| kept(&out.join(format!("{hash}.gz")), || gzip(bytes)))
            .and_then(smaller);
        let brotli = is_text
            .then(|| kept(&out.join(format!("{hash}.br")), || brotli(bytes)))
            .and_then(smaller);
        let include = |file: PathBuf| format!("include_bytes!({:?})", file.to_str().unwrap());
        let optional = |file: Option<PathBuf>| {
            file.map_or("None".to_owned(), |file| format!("Some({})", include(file)))
        };
        format!(
            "Asset {{ path: {path:?}, kind: {kind:?}, hash: {hash:?}, plain: {}, gzip: {}, brotli: {} }},\n",
            include(plain),
            optional(gzip),
            optional(brotli)
        )
    };
    let entries: String = files.iter().map(entry).collect();
    writeln!(code, "static {name}: &[Asset] = &[\n{entries}];").unwrap();
}

/// The file, made unless it is there from an earlier build.
fn kept(file: &Path, make: impl FnOnce() -> Vec<u8>) -> PathBuf {
    if !file.exists() {
        // Under its name only when it is whole.
        let partial = file.with_extension("partial");
        fs::write(&partial, make()).unwrap();
        fs::rename(&partial, file).unwrap();
    }
    file.to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &*bytes, &mut compressed, &parameters).unwrap();
    compressed
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => panic!("{path}: say in build.rs what kind of file this is"),
    }
}
