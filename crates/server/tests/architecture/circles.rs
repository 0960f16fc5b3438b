//! Finds circles between the files of a crate: files that name each other's items, directly or
//! through others.
//!
//! A path counts for the file that defines the item: `crate::sqlite::append` that `sqlite/mod.rs`
//! re-exports from `sqlite/append.rs` counts for the latter. Code that is only compiled for tests does not
//! count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Module = Vec<String>;

/// A file, and the paths that its code names.
struct File {
    name: String,
    /// `pub use`: the name that others see, and the path that it stands for.
    exports: BTreeMap<String, Module>,
    /// Every path, from the crate's root.
    paths: Vec<Module>,
    /// Public globs, such as `pub use child::*`.
    globs: Vec<Module>,
    /// Names that are defined here.
    items: BTreeSet<String>,
}

/// What each file of a crate names: file by file, the files that define it.
pub(crate) fn references(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = BTreeMap::new();
    for root in ["lib.rs", "main.rs"] {
        if source.join(root).exists() {
            read(source, &source.join(root), vec![], &mut files);
            break;
        }
    }
    let mut edges = BTreeMap::new();
    for file in files.values() {
        let targets = file.paths.iter();
        let targets = targets.filter_map(|path| resolve(&files, path, 0));
        let others = targets.filter(|target| *target != file.name).collect();
        edges.insert(file.name.clone(), others);
    }
    edges
}

/// The circles of a crate, each as its files in order, and the references within them.
pub(crate) fn circles(source: &Path) -> Vec<(Vec<String>, Vec<String>)> {
    let edges = references(source);
    let names: Vec<&str> = edges.keys().map(String::as_str).collect();
    let reached: BTreeMap<&str, BTreeSet<String>> = names
        .iter()
        .map(|name| (*name, reachable(&edges, name)))
        .collect();
    let mut groups = BTreeSet::new();
    for name in &names {
        let group: Vec<String> = reached[name]
            .iter()
            .filter(|other| reached[other.as_str()].contains(*name))
            .cloned()
            .collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    let references = |group: &Vec<String>| -> Vec<String> {
        let within = |name: &String| {
            let targets = edges.get(name).into_iter().flatten();
            let targets = targets.filter(|target| group.contains(target));
            targets
                .map(|target| format!("{name} -> {target}"))
                .collect::<Vec<_>>()
        };
        group.iter().flat_map(within).collect()
    };
    groups
        .into_iter()
        .map(|group| (group.clone(), references(&group)))
        .collect()
}

fn reachable(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(name) = next.pop() {
        for target in edges.get(&name).into_iter().flatten() {
            if found.insert(target.clone()) {
                next.push(target.clone());
            }
        }
    }
    found
}

/// The file that defines what a path names.
fn resolve(files: &BTreeMap<Module, File>, path: &[String], depth: usize) -> Option<String> {
    let length = (0..=path.len())
        .rev()
        .find(|length| files.contains_key(&path[..*length]))?;
    let file = &files[&path[..length]];
    // A module itself is no item: the items named through it count.
    let item = path.get(length)?;
    if depth < 10 && !file.items.contains(item) {
        if let Some(target) = file.exports.get(item) {
            let target: Module = target.iter().chain(&path[length + 1..]).cloned().collect();
            return resolve(files, &target, depth + 1);
        }
        for glob in &file.globs {
            if let Some(other) = files.get(glob)
                && (other.items.contains(item) || other.exports.contains_key(item))
            {
                let target: Module = glob.iter().chain(&path[length..]).cloned().collect();
                return resolve(files, &target, depth + 1);
            }
        }
    }
    Some(file.name.clone())
}

/// Reads a module's file and those of the modules that it declares.
fn read(source: &Path, path: &Path, module: Module, files: &mut BTreeMap<Module, File>) {
    let text = std::fs::read_to_string(path).unwrap();
    let tokens = tokens(&text);
    let name = path
        .strip_prefix(source)
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        module: module.clone(),
        file: File {
            name,
            exports: BTreeMap::new(),
            paths: Vec::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
        },
        locals: BTreeMap::new(),
        children: Vec::new(),
        code: Vec::new(),
    };
    parser.parse();
    let (children, file) = (parser.children.clone(), parser.finish());
    files.insert(module.clone(), file);
    let folder = match path.file_name().unwrap().to_str().unwrap() {
        "lib.rs" | "main.rs" | "mod.rs" => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    for child in children {
        let path = [
            folder.join(format!("{child}.rs")),
            folder.join(&child).join("mod.rs"),
        ];
        let path = path.iter().find(|path| path.exists()).unwrap();
        let module = module.iter().cloned().chain([child]).collect();
        read(source, path, module, files);
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
    /// With the inline modules that are open.
    module: Module,
    file: File,
    /// What a name that was imported stands for.
    locals: BTreeMap<String, Module>,
    children: Vec<String>,
    /// Paths in code, and the module that they stand in; read once all imports are known.
    code: Vec<(Module, Vec<String>)>,
}

impl Parser<'_> {
    fn parse(&mut self) {
        let mut depth = 0;
        let mut inline = Vec::new();
        let mut is_public = false;
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            match token {
                "#" if self.ahead(&["[", "cfg", "(", "test", ")", "]"]) => {
                    self.at += 6;
                    self.skip_item();
                }
                "pub" => {
                    is_public = true;
                    if self.ahead(&["("]) {
                        self.skip_group();
                    }
                    continue;
                }
                "use" => self.tree(Vec::new(), is_public),
                "mod" if self.tokens.get(self.at + 1) == Some(&";") => {
                    self.children.push(self.tokens[self.at].to_owned());
                    self.at += 2;
                }
                "mod" if self.tokens.get(self.at + 1) == Some(&"{") => {
                    self.module.push(self.tokens[self.at].to_owned());
                    inline.push(depth);
                    self.at += 1;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                | "macro_rules" => {
                    let name = self.tokens[self.at..].iter().find(|token| is_word(token));
                    if depth == 0
                        && let Some(name) = name
                    {
                        self.file.items.insert((*name).to_owned());
                    }
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        self.module.pop();
                    }
                }
                word if is_word(word) && self.ahead(&["::"]) => {
                    let mut path = vec![word.to_owned()];
                    while self.ahead(&["::"]) && self.word(1) {
                        path.push(self.tokens[self.at + 1].to_owned());
                        self.at += 2;
                    }
                    self.code.push((self.module.clone(), path));
                }
                _ => {}
            }
            is_public = false;
        }
    }

    /// One branch of a `use`, up to its end.
    fn tree(&mut self, mut path: Vec<String>, is_public: bool) {
        loop {
            let token = self.tokens[self.at];
            self.at += 1;
            match token {
                "::" => {}
                "{" => {
                    while self.tokens[self.at] != "}" {
                        self.tree(path.clone(), is_public);
                        if self.tokens[self.at] == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    if let Some(path) = self.absolute(&self.module, &path) {
                        if is_public {
                            self.file.globs.push(path);
                        } else {
                            self.file.paths.push([path, vec!["*".to_owned()]].concat());
                        }
                    }
                    return;
                }
                "self" if !path.is_empty() => {}
                word => path.push(word.to_owned()),
            }
            let mut name = path.last().cloned();
            if self.ahead(&["as"]) {
                name = Some(self.tokens[self.at + 1].to_owned());
                self.at += 2;
            }
            if [",", "}", ";"].contains(&self.tokens[self.at]) {
                if let (Some(absolute), Some(name)) = (self.absolute(&self.module, &path), name) {
                    if is_public {
                        self.file.exports.insert(name.clone(), absolute.clone());
                    } else {
                        self.file.paths.push(absolute.clone());
                    }
                    self.locals.insert(name, absolute);
                }
                return;
            }
        }
    }

    /// A path from the crate's root, if it leads into this crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Module> {
        let mut base = module.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            // A name that was imported, or a module of this one.
            word => match self.locals.get(word) {
                Some(local) => {
                    base.clone_from(local);
                    rest = &path[1..];
                }
                None if self.children.iter().any(|child| child == word) => {}
                None => return None,
            },
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn finish(mut self) -> File {
        for (module, path) in std::mem::take(&mut self.code) {
            if let Some(path) = self.absolute(&module, &path) {
                self.file.paths.push(path);
            }
        }
        self.file
    }

    fn ahead(&self, tokens: &[&str]) -> bool {
        self.tokens[self.at..].starts_with(tokens)
    }

    fn word(&self, ahead: usize) -> bool {
        self.tokens
            .get(self.at + ahead)
            .is_some_and(|token| is_word(token))
    }

    /// Skips an item with its attributes: to its semicolon, or the end of its body.
    fn skip_item(&mut self) {
        while let Some(token) = self.tokens.get(self.at).copied() {
            match token {
                "(" | "[" => self.skip_group(),
                "{" => return self.skip_group(),
                ";" => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_group(&mut self) {
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            match token {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::` and single characters; no comments, no literals.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest)
        } else if first == '\'' {
            // A character, or a lifetime.
            let second = rest.chars().nth(1);
            let is_char = second == Some('\\') || rest.chars().nth(2) == Some('\'');
            match second.filter(|_| is_char) {
                Some('\\') => 3 + rest[3..].find('\'').unwrap_or(0) + 1,
                Some(second) => 2 + second.len_utf8(),
                None => 1,
            }
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|other: char| !other.is_alphanumeric() && other != '_');
            let length = end.unwrap_or(rest.len());
            tokens.push(&rest[..length]);
            length
        } else if rest.starts_with("::") {
            tokens.push("::");
            2
        } else {
            let length = first.len_utf8();
            if !first.is_whitespace() {
                tokens.push(&rest[..length]);
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let prefix = text.len() - start.len();
    let hashes = start.len() - start.trim_start_matches('#').len();
    let body = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end)?;
    Some(prefix + hashes + 1 + length + end.len())
}
