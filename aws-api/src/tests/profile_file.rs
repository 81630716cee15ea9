//! How the shared files are written.

use crate::profile_file::{File, Kind, Section, parse};

fn config(text: &str) -> File {
    parse(text, Kind::Config, "/c").unwrap_or_else(|why| panic!("{why}"))
}

fn credentials(text: &str) -> File {
    parse(text, Kind::Credentials, "/c").unwrap_or_else(|why| panic!("{why}"))
}

/// The keys and values of a section.
fn pairs(section: &Section) -> Vec<(&str, &str)> {
    section.iter().map(|(key, value)| (key.as_str(), value.text.as_str())).collect()
}

fn of<'a>(file: &'a File, profile: &str) -> Vec<(&'a str, &'a str)> {
    pairs(&file.profiles[profile])
}

fn refused(text: &str) -> String {
    parse(text, Kind::Config, "/home/u/.aws/config").err().unwrap()
}

#[test]
fn profiles_have_a_prefix_in_the_config_file_and_none_in_the_credentials_file() {
    let text = "[default]\na=1\n[profile one]\na=2\n[two]\na=3\n[profile \"with blank\"]\na=4\n[ profile\tfour ]\na=5";
    let file = config(text);
    let names: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
    assert_eq!(names, ["default", "four", "one", "with blank"]);
    assert!(file.misplaced.contains("two"));
    let file = credentials(text);
    let names: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
    assert_eq!(names, ["default", "two"]);
    assert!(file.misplaced.contains("one"));
}

#[test]
fn profile_default_goes_before_default_wherever_it_stands() {
    for text in ["[default]\na=1\nb=1\n[profile default]\na=2", "[profile default]\na=2\n[default]\na=1\nb=1"] {
        assert_eq!(of(&config(text), "default"), [("a", "2")]);
    }
}

#[test]
fn sections_of_a_name_are_one_and_later_keys_win() {
    let file = credentials("[x]\na=1\nb=1\n[y]\n[x]\nA = 2\na=3\nc=4\n");
    assert_eq!(of(&file, "x"), [("a", "3"), ("b", "1"), ("c", "4")]);
    assert_eq!(of(&file, "y"), []);
}

#[test]
fn comments_are_lines_or_stand_behind_a_blank() {
    let text = "# one\n ; two\n[x] # three\nend = a;b#c ; four\ntab = v\t# five\nnone = # six\nurl = http://h/#f\n\t\n[y];seven";
    let file = credentials(text);
    assert_eq!(of(&file, "x"), [("end", "a;b#c"), ("none", ""), ("tab", "v"), ("url", "http://h/#f")]);
    assert!(file.profiles.contains_key("y"));
}

#[test]
fn a_mark_of_byte_order_and_windows_line_ends_are_taken() {
    let file = credentials("\u{feff}[x]\r\na = 1\r\n  more\r\nb=2\r\n");
    assert_eq!(of(&file, "x"), [("a", "1\nmore"), ("b", "2")]);
}

#[test]
fn deeper_lines_continue_a_value_as_they_stand() {
    let file = credentials("[x]\nprocess = run it\n  --key=value # part of it\n\n  [and this]\nnext = 1");
    assert_eq!(of(&file, "x"), [("next", "1"), ("process", "run it\n--key=value # part of it\n[and this]")]);
}

#[test]
fn a_section_may_be_indented_as_a_whole() {
    let file = credentials("[x]\n  a = 1\n  b = 2\n    more\n [y]\n  c = 3");
    assert_eq!((of(&file, "x"), of(&file, "y")), (vec![("a", "1"), ("b", "2\nmore")], vec![("c", "3")]));
}

#[test]
fn deeper_lines_under_an_empty_value_are_a_block_of_keys() {
    let file = config(
        "[services s]\nec2 = # own\n  endpoint_url = http://e # here\n  Other=1\nsts =\n  endpoint_url=http://s",
    );
    let ec2 = &file.services["s"]["ec2"];
    assert_eq!(pairs(&ec2.nested), [("endpoint_url", "http://e"), ("other", "1")]);
    assert_eq!(ec2.nested["endpoint_url"].place.to_string(), "/c:3");
    assert_eq!(pairs(&file.services["s"]["sts"].nested), [("endpoint_url", "http://s")]);
}

#[test]
fn quotes_around_a_whole_value_are_no_part_of_it() {
    let file = credentials("[x]\na = \"v w\"\nb = 'v'\nc = \"one\" \"two\"\nd = \"open");
    assert_eq!(of(&file, "x"), [("a", "v w"), ("b", "v"), ("c", "\"one\" \"two\""), ("d", "\"open")]);
}

#[test]
fn what_cannot_be_understood_is_told_with_file_and_line_and_never_quoted() {
    for (text, line, expected) in [
        ("hush = hush", 1, "[section]"),
        ("[default]\n\nhush", 3, "key = value"),
        ("[default\nhush=1", 1, "closing bracket"),
        ("[]", 1, "empty"),
        ("[default] hush", 1, "only a comment"),
        ("[default]\n = hush", 2, "no key"),
        ("[default]\nec2 =\n  hush", 3, "key = value"),
    ] {
        let why = refused(text);
        assert!(why.starts_with(&format!("/home/u/.aws/config:{line}: ")) && why.contains(expected), "{text:?}: {why}");
        assert!(!why.contains("hush"), "{why}");
    }
}

#[test]
fn sections_of_others_may_hold_what_they_like() {
    let file = config("[plugins]\nwhatever\n[sso-session s]\nsso_region = x\n[profile p]\na=1");
    assert_eq!(file.profiles.len(), 1);
}

#[test]
fn no_text_makes_the_reader_fall_over() {
    let pieces =
        ["[", "]", "profile ", "default", "=", "\n", " ", "\t", "#", ";", "\"", "é", "\u{feff}", "\r", "a", "\0"];
    // Every text of four pieces.
    for number in 0..pieces.len().pow(4) {
        let text: String = (0..4).map(|digit| pieces[number / pieces.len().pow(digit) % pieces.len()]).collect();
        for text in [text.clone(), format!("[default]\na=\n{text}")] {
            let _ = parse(&text, Kind::Config, "/c");
            let _ = parse(&text, Kind::Credentials, "/c");
        }
    }
}
