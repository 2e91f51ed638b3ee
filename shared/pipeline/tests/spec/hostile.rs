//! Texts that nobody means: refused in bounded time and memory, never a panic.

use millstream_pipeline::spec::Code;
use proptest::prelude::*;

use crate::{FRAUD, FileMap, PATH, fraud, load_files};

fn one_file(text: impl Into<String>) -> FileMap {
    FileMap::from([(PATH.to_owned(), text.into())])
}

#[test]
fn aliases_of_aliases_do_not_grow_without_end() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    let mistakes = load_files(&one_file(text)).unwrap_err().0;
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].code, Code::Yaml);
    assert_eq!(mistakes[0].message, "more or deeper values than a pipeline file has a use for");
}

#[test]
fn nesting_is_bounded() {
    for text in ["[".repeat(100_000), format!("a: {}", "{b: ".repeat(100_000)), "- ".repeat(100_000)] {
        let mistakes = load_files(&one_file(text)).unwrap_err().0;
        assert_eq!(mistakes[0].code, Code::Yaml);
    }
}

#[test]
fn an_empty_file_a_list_and_bytes_that_are_no_text_are_told() {
    assert_eq!(load_files(&one_file("")).unwrap_err().0[0].message, "this file is empty");
    assert_eq!(load_files(&one_file("# nothing\n")).unwrap_err().0[0].message, "this file is empty");
    assert_eq!(load_files(&one_file("- a\n")).unwrap_err().0[0].code, Code::WrongType);
    assert_eq!(load_files(&one_file("a: 1\n---\nb: 2\n")).unwrap_err().0[0].message, "a second document in one file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|[a-z:{}\\[\\]&*!|>'\"#%@,? \n-]{0,200}") {
        let _ = load_files(&one_file(text));
    }

    #[test]
    fn any_cut_and_any_change_of_a_right_file_is_read_or_refused(
        at in 0..FRAUD.len(),
        length in 0_usize..40,
        put in "[a-zA-Z0-9:{}\\[\\]\"'*.,é \n-]{0,10}",
    ) {
        let mut text = FRAUD.to_owned();
        text.replace_range(at..(at + length).min(FRAUD.len()), &put);
        let mut files = fraud();
        files.insert(PATH.to_owned(), text);
        if let Err(mistakes) = load_files(&files) {
            prop_assert!(!mistakes.0.is_empty());
            prop_assert!(!mistakes.render(80).is_empty());
        }
    }
}
