//! Names of people and of the places they live at.

/// Given names and family names that are common in several countries: enough to tell a column of names from one of words, not to
/// find every name.
const COMMON: &str = "\
 aaron abdul abdullah adam adrian agnieszka ahmed alain alan albert alejandro alessandro alex alexander alexandra ali alice \
 alina amanda amit amy ana anders andrea andreas andrew andrzej angela angelika anita anja ann anna anne annette antoine antonio \
 arjun arthur astrid barbara beatrice ben benjamin bernard bernd betty birgit bjorn bob brandon brenda brian brigitte bruno \
 carla carlos carmen carol caroline catherine cecilia chantal charles charlotte chen chiara chris christian christina christine \
 christoph christopher claire clara claudia claus cristina cynthia dan daniel daniela david deborah deepak denis dennis diana \
 diego dieter dirk dmitri dominik donald donna dorothy edward elena elisabeth elizabeth ella ellen emily emma enrico eric erik \
 erika eva fabian fatima federico felix fernando florian francesca francesco francisco frank frederic friedrich gabriel gabriele \
 gary george georg gerard gerhard giovanni giulia giuseppe gloria greta guillaume gunter hans harald harold hassan heather \
 heidi heinz helen helena helga helmut henri henry hiroshi hugo ian ibrahim ines ingrid irene isabel isabelle ivan jack jacob \
 jacques jakub james jan jana jane janet jason javier jean jeff jeffrey jennifer jens jeremy jessica jesus jim joan joao joe \
 johan johann johanna johannes john jonas jonathan jorge jose josef joseph joshua joyce juan judith juergen julia julian julie \
 jurgen justin karen karin karl karl-heinz katarzyna katharina katherine kathleen katja keith kelly kenneth kenji kevin kim \
 klaus krzysztof lars laura lauren laurent lea lena leon leonard li linda lisa lorenzo louis louise luca lucas lucia luis luisa \
 lukas magdalena malgorzata manfred manuel manuela marc marcel marco marek margaret maria marie marina mario marion mark markus \
 marta martha martin martina mary mathieu matteo matthew matthias max maximilian maya megan mehmet melanie melissa michael michal \
 michel michele michelle miguel mohamed mohammed monica monika muhammad nancy natalia natalie nathalie nicholas nicola nicolas \
 nicole nils nina noah oliver olga olivia olivier omar oscar pablo pamela paolo pascal patricia patrick paul paula pavel pedro \
 peter petra philip philipp philippe pierre piotr priya rachel rahul rainer raj ralf ralph ramon raymond rebecca renate rene \
 ricardo richard robert roberto roger roland ronald rosa rosemary roy ruth ryan sabine samuel sandra sara sarah scott sebastian \
 sergei sergio sharon shirley silvia simon simone sofia sophia sophie stefan stefanie stephan stephanie stephen steve steven \
 sunita susan susanne sven svetlana sylvia tanja tatiana teresa theresa thomas tim timothy tobias tom tomasz ulrich ulrike ursula \
 uwe valentina valerie vanessa vera veronica veronique victor victoria vincent virginia walter wang wei werner wilhelm william \
 wojciech wolfgang xavier yan yasmin yuki yusuf yves yvonne zhang zoe \
 anderson andersson becker bernard bianchi brown campbell clark cohen costa davis diaz dubois dupont durand evans fernandez \
 ferrari ferreira fischer garcia gomez gonzalez gupta hall hansen harris hernandez hoffmann jackson jansen jensen johansson johnson \
 jones karlsson kaya khan kim king klein koch kowalski kumar lee lefebvre lewis lopez martinez meier mendoza meyer miller mitchell \
 moore morales moreau moreno morris muller murphy nguyen nielsen nilsson novak nowak olsen patel perez petersen petit phillips \
 pereira popov ramirez richter rivera robinson rodriguez romano rossi russo sanchez santos sato schmidt schneider schroder schulz \
 schwarz sharma silva singh smirnov smith sousa stewart suzuki svensson tanaka taylor thompson torres tran turner wagner walker \
 watson weber white williams wilson wolf wood wright yamamoto yilmaz young zimmermann ";

/// Folds case and marks: `Jürgen` is `jurgen`.
pub fn fold(text: &str) -> String {
    use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
    let plain = text.nfd().filter(|c| !is_combining_mark(*c));
    plain.flat_map(char::to_lowercase).collect()
}

/// Whether a text has the form of a person's name, and whether a part of it is a common name.
pub fn name(text: &str) -> (bool, bool) {
    let words: Vec<&str> = text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
    let letter = |c: char| c.is_alphabetic() || matches!(c, '\'' | '’' | '-' | '.' | '·');
    let shaped = |word: &&str| {
        // Scripts without cases have no small letters either.
        let first = word.chars().find(|c| c.is_alphabetic());
        word.chars().all(letter) && first.is_some_and(|c| !c.is_lowercase() || particle(word))
    };
    if !(1..=5).contains(&words.len()) || text.len() > 80 || !words.iter().all(shaped) {
        return (false, false);
    }
    let common = words.iter().any(|word| {
        let own = fold(word);
        let own = own.trim_matches(|c: char| !c.is_alphabetic());
        own.len() > 1 && COMMON.contains(&format!(" {own} "))
    });
    (true, common)
}

fn particle(word: &str) -> bool {
    [
        "von", "van", "de", "da", "del", "della", "di", "der", "den", "la", "le", "du", "dos",
        "bin", "al", "el", "ter",
    ]
    .contains(&word)
}

/// Words of streets: as a word of their own, and as the end of one where `-` stands before them.
const STREETS: &str = " street st road rd avenue ave boulevard blvd lane ln drive dr court ct square sq highway hwy way terrace \
 place pl rue allee impasse chemin quai calle avenida plaza paseo carrer via viale piazza corso rua travessa praca strasse str \
 gasse platz weg allee straat laan plein gracht kade ulica ul aleja vej gade gatan gata vagen katu tie ulitsa ";
const STREET_ENDS: [&str; 14] = [
    "strasse", "straße", "str", "gasse", "platz", "weg", "allee", "straat", "laan", "gracht",
    "gatan", "vagen", "gade", "vej",
];

/// A street and a house number in either order, perhaps with a place behind.
pub fn is_address(text: &str) -> bool {
    if !(6..=200).contains(&text.len()) || !text.bytes().any(|b| b.is_ascii_digit()) {
        return false;
    }
    let folded = fold(text);
    let words: Vec<&str> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    if !(2..=14).contains(&words.len()) {
        return false;
    }
    let street = words.iter().any(|w| {
        let ends = STREET_ENDS
            .iter()
            .any(|end| w.len() > end.len() + 2 && w.ends_with(end));
        ends || STREETS.contains(&format!(" {w} "))
    });
    let house = words.iter().any(|w| {
        let digits = w.bytes().filter(u8::is_ascii_digit).count();
        (1..=5).contains(&digits) && w.len() - digits <= 1
    });
    street && house
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_form_and_many_are_common() {
        for (text, expected) in [
            ("Ann Smith", (true, true)),
            ("MÜLLER, Jürgen", (true, true)),
            ("Ludwig van Beethoven", (true, false)),
            ("O'Brien", (true, false)),
            ("王芳", (true, false)),
            ("Anna", (true, true)),
            ("Premium plan", (false, false)),
            ("A1", (false, false)),
            ("ann@example.com", (false, false)),
            ("", (false, false)),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_have_a_street_and_a_number() {
        for text in [
            "12 High Street",
            "221B Baker St, London",
            "Hauptstraße 5",
            "Kurfürstendamm-Allee 12",
            "rue de Rivoli 99",
            "Via Roma, 1",
            "Keizersgracht 174",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "High Street",
            "12345",
            "Plan 2024",
            "on my way home at noon",
            "123456789 Street",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
