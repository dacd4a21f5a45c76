//! The pages of the documentation: their blocks, headings and prose.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::support::{root, source};

/// A page of Markdown.
pub struct Page {
    /// From the top of the repository.
    pub name: String,
    /// The page without its blocks: their lines are empty.
    pub prose: Vec<String>,
    pub blocks: Vec<Block>,
}

/// A fenced block.
pub struct Block {
    page: String,
    /// Of its first line of text, from 1.
    pub line: usize,
    /// The first word after the fence; "" where there is none.
    pub language: String,
    pub text: String,
    /// Why it is not run: the comment `<!-- not run: REASON -->` on the line above.
    pub excuse: Option<String>,
}

impl Block {
    /// For tests of what is done with blocks.
    pub fn of(language: &str, text: &str) -> Block {
        Block {
            page: "test.md".to_owned(),
            line: 1,
            language: language.to_owned(),
            text: text.to_owned(),
            excuse: None,
        }
    }

    /// `docs/c.md:12`
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    pub fn page(&self) -> &str {
        &self.page
    }
}

/// Every page that users read, in order of their names.
pub fn pages() -> Vec<Page> {
    let mut names: Vec<String> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into();
    for folder in ["docs", "c_examples", "bindings"] {
        if !root().join(folder).is_dir() {
            continue;
        }
        let found = source::files(folder, "md").into_iter();
        names.extend(found.map(|path| path.to_string_lossy().into_owned()));
    }
    // What tools leave in the folders of a binding.
    names.retain(|name| {
        let of_tools = |part: &str| {
            part.starts_with('.') || ["node_modules", "site-packages", "build"].contains(&part)
        };
        !name.split('/').any(of_tools)
    });
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

/// The blocks of one language that are to be run, page by page.
pub fn blocks(language: &str) -> Vec<Block> {
    pages()
        .into_iter()
        .flat_map(|page| page.blocks)
        .filter(|block| block.language == language && block.excuse.is_none())
        .collect()
}

impl Page {
    pub fn read(name: &str) -> Page {
        let path = root().join(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Page {
        let mut prose: Vec<String> = Vec::new();
        let mut blocks = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let body = line.trim_start();
            let fence: String = body.chars().take_while(|c| *c == '`').collect();
            if fence.len() < 3 {
                prose.push(line.to_owned());
                continue;
            }
            let indent = line.len() - body.len();
            let said = prose.last().map(|line| line.trim());
            let excuse = said
                .and_then(|line| line.strip_prefix("<!-- not run: "))
                .and_then(|line| line.strip_suffix(" -->"));
            let mut block = Block {
                page: name.to_owned(),
                line: at + 2,
                language: body[fence.len()..].trim().to_owned(),
                text: String::new(),
                excuse: excuse.map(str::to_owned),
            };
            prose.push(String::new());
            loop {
                let (_, line) = lines
                    .next()
                    .unwrap_or_else(|| panic!("{}: it never ends", block.place()));
                prose.push(String::new());
                if line.trim() == fence {
                    break;
                }
                let inner = line.trim_start();
                let own = (line.len() - inner.len()).min(indent);
                block.text.push_str(&line[own..]);
                block.text.push('\n');
            }
            blocks.push(block);
        }
        Page {
            name: name.to_owned(),
            prose,
            blocks,
        }
    }

    /// The folder it lies in, from the top of the repository.
    pub fn folder(&self) -> &Path {
        Path::new(&self.name).parent().unwrap_or(Path::new(""))
    }

    /// What `#…` may name: each heading as the usual viewers write it in links.
    pub fn anchors(&self) -> Vec<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let headings = self.prose.iter().filter_map(|line| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len()).then(|| text.strip_prefix(' '))?
        });
        headings
            .map(|heading| {
                let slug: String = heading
                    .trim()
                    .to_lowercase()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect();
                let count = seen.entry(slug.clone()).or_insert(0);
                *count += 1;
                match *count {
                    1 => slug,
                    n => format!("{slug}-{}", n - 1),
                }
            })
            .collect()
    }

    /// Lines that Markdown takes for code because of their indentation.
    pub fn indented(&self) -> impl Iterator<Item = &str> {
        let mut in_list = false;
        let mut after_blank = true;
        self.prose.iter().filter_map(move |line| {
            let blank = line.trim().is_empty();
            let body = line.trim_start();
            let indent = line.len() - body.len();
            if !blank && indent == 0 {
                let digits = body.trim_start_matches(|c: char| c.is_ascii_digit());
                in_list = ["- ", "* ", "+ "].iter().any(|mark| body.starts_with(mark))
                    || (digits.len() < body.len() && digits.starts_with(". "));
            }
            let code = !blank && indent >= 4 && after_blank && !in_list;
            after_blank = blank;
            code.then_some(line.as_str())
        })
    }

    /// The prose in one piece, without what stands in backticks.
    pub fn words(&self) -> String {
        let text = self.prose.join("\n");
        text.split('`').step_by(2).collect::<Vec<_>>().join(" ")
    }

    /// What stands in backticks in the prose.
    pub fn code(&self) -> Vec<String> {
        let text = self.prose.join("\n");
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }
}
