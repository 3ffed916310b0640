use super::*;

const LIST: &str = "\
model \"%s\" does not exist
option \"%1$s\" must be %2$s
option \"%1$s%2$s\" must be %3$s
a number from %1$s to %2$s
column \"%1$s\" left out: %2$s
identifies the row
%1$s rows left out: target \"%2$s\"%3$s is NULL
 or \"%s\"
row
each %s of %%
%1$s %2$s (%3$s %4$s)
unseen rows
It has 100%% of %s.
%1$s (%2$s)
%1$s rows %2$s
cleaned: %s
text normalised
%s in 1 row
%1$s in %2$s rows
that repeat another
%s ignored
not in the catalogue
";

/// Catalogue by catalogue as gettext has it: a msgid, and what it is.
fn lookup(msgid: &str) -> Option<String> {
    let known = [
        ("model \"%s\" does not exist", "模型 \"%s\" 不存在"),
        ("option \"%1$s\" must be %2$s", "选项 \"%1$s\" 必须是 %2$s"),
        ("a number from %1$s to %2$s", "%1$s 到 %2$s 之间的数"),
        ("column \"%1$s\" left out: %2$s", "%2$s,列 \"%1$s\" 已略去"),
        ("identifies the row", "标识行"),
        (
            "%1$s rows left out: target \"%2$s\"%3$s is NULL",
            "略去 %1$s 行: 目标 \"%2$s\"%3$s 为 NULL",
        ),
        (" or \"%s\"", " 或 \"%s\""),
        ("row", "行"),
        ("each %s of %%", "每个 %s 的 %%"),
        ("%1$s %2$s (%3$s %4$s)", "%1$s %2$s (%3$s %4$s)"),
        ("unseen rows", "个未见过的行"),
        ("It has 100%% of %s.", "有 100%% 的 %s。"),
        ("%1$s (%2$s)", "%1$s (%2$s)"),
        ("%1$s rows %2$s", "%1$s 行 %2$s"),
        ("cleaned: %s", "已清洗: %s"),
        ("text normalised", "文本已规范化"),
        ("%s in 1 row", "1 行中 %s"),
        ("%1$s in %2$s rows", "%2$s 行中 %1$s"),
        ("that repeat another", "重复"),
        ("%s ignored", "忽略 %s"),
    ];
    let found = known.iter().find(|(own, _)| *own == msgid);
    found.map(|(_, translation)| (*translation).to_owned())
}

fn translate(text: &str) -> Option<String> {
    Templates::read(LIST).translate(text, &lookup)
}

#[track_caller]
fn says(text: &str, wanted: &str) {
    assert_eq!(translate(text).as_deref(), Some(wanted));
}

#[test]
fn what_stands_in_a_placeholder_stays() {
    says("model \"m\" does not exist", "模型 \"m\" 不存在");
    says("model \"\" does not exist", "模型 \"\" 不存在");
    says("model \"a \" b\" does not exist", "模型 \"a \" b\" 不存在");
    says("model \"模型\" does not exist", "模型 \"模型\" 不存在");
}

#[test]
fn placeholders_may_change_places() {
    says(
        "column \"id\" left out: identifies the row",
        "标识行,列 \"id\" 已略去",
    );
}

#[test]
fn messages_in_messages_are_translated() {
    says(
        "option \"seed\" must be a number from 0 to 1",
        "选项 \"seed\" 必须是 0 到 1 之间的数",
    );
    says(
        "5 rows left out: target \"y\" or \"z\" is NULL",
        "略去 5 行: 目标 \"y\" 或 \"z\" 为 NULL",
    );
    says(
        "column \"c\" left out: identifies the row; something new",
        "标识行; something new,列 \"c\" 已略去",
    );
}

#[test]
fn lists_are_told_from_messages() {
    says(
        "cleaned: text normalised in 1 row (\"a\"); text normalised in 2 rows (\"b\")",
        "已清洗: 1 行中 文本已规范化 (\"a\"); 2 行中 文本已规范化 (\"b\")",
    );
    says(
        "cleaned: 40 rows that repeat another (id ignored)",
        "已清洗: 40 行 重复 (忽略 id)",
    );
    // Names in a list stay, whatever they say.
    says("each row, a of %", "每个 row, a 的 %");
}

#[test]
fn names_in_quotes_are_never_translated() {
    says("model \"row\" does not exist", "模型 \"row\" 不存在");
    says("each row of %", "每个 行 的 %");
    says(
        "column \"identifies the row\" left out: row",
        "行,列 \"identifies the row\" 已略去",
    );
}

#[test]
fn a_percent_sign_is_one() {
    says("It has 100% of it.", "有 100% 的 it。");
}

#[test]
fn the_msgid_with_most_letters_wins() {
    // Two fit; the frame of four placeholders fits nearly anything.
    says(
        "model \"a b (c d)\" does not exist",
        "模型 \"a b (c d)\" 不存在",
    );
    says(
        "test loss 0.5, r2 0.1 (20 unseen rows)",
        "test loss 0.5, r2 0.1 (20 个未见过的行)",
    );
}

#[test]
fn what_is_not_known_is_left_alone() {
    assert_eq!(translate("something else"), None);
    assert_eq!(translate(""), None);
    assert_eq!(translate("not in the catalogue"), None);
    assert_eq!(translate("model \"m\" does not exist."), None);
    let long = format!("model \"{}\" does not exist", "x".repeat(LONGEST));
    assert_eq!(translate(&long), None);
}

#[test]
fn a_translation_that_asks_for_too_much_is_not_used() {
    let templates = Templates::read("a %s\n");
    let wrong = |_: &str| Some("b %2$s".to_owned());
    assert_eq!(templates.translate("a c", &wrong), None);
}

#[test]
fn every_msgid_matches_itself() {
    let list = include_str!("../../sql/po/msgids.txt");
    let templates = Templates::read(list);
    for msgid in list.lines() {
        let own = Template::read(msgid);
        if own.literal() == 0 {
            continue;
        }
        let values: Vec<String> = (1..=own.order.len()).map(|n| format!("<{n}>")).collect();
        let text = own.fill(&values).unwrap();
        let found = templates.translate(&text, &|found| Some(found.to_owned()));
        assert_eq!(found, Some(text), "{msgid}");
    }
    assert!(list.lines().count() > 1000);
}
