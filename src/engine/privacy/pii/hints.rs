//! What a column's name says about it, in several languages.

use super::Kind;
use super::people::fold;

/// Words that stand for a kind, and how sure they are. Words of two parts are written together: `first_name`, `firstName` and
/// `firstname` are one.
const HINTS: &[(Kind, f64, &str)] = &[
    (
        Kind::Name,
        0.8,
        " firstname lastname fullname fname lname surname forename givenname familyname middlename maidenname \
      customername clientname patientname contactname personname employeename nachname vorname familienname \
      prenom nomfamille nomcomplet apellido apellidos nombrecompleto primerapellido cognome nomecompleto sobrenome \
      achternaam voornaam efternamn fornamn etternavn fornavn efternavn imie nazwisko imya familiya имя фамилия отчество \
      姓名 氏名 名前 성명 이름 姓 ",
    ),
    (Kind::Name, 0.4, " name nom nombre nome naam namn navn "),
    (
        Kind::Email,
        0.8,
        " email emailaddress mail mailaddress emailadresse courriel correo correoelectronico correio epost почта \
      邮箱 メール ",
    ),
    (
        Kind::Phone,
        0.8,
        " phone phonenumber telephone tel telefon telefonnummer telefonnr mobile mobilenumber mobilephone cell \
      cellphone msisdn fax handy handynummer telefono celular movil telefone portable numerotelephone telefoon mobiel puhelin \
      телефон 电话 手机 電話 ",
    ),
    (
        Kind::Card,
        0.8,
        " creditcard creditcardnumber cardnumber ccnumber ccnum pan kreditkarte kartennummer cartebancaire \
      numerotarjeta tarjeta ",
    ),
    (
        Kind::Iban,
        0.8,
        " iban bankaccount accountnumber kontonummer ",
    ),
    (
        Kind::NationalNumber,
        0.8,
        " ssn socialsecurity socialsecuritynumber socialinsurance nationalid nationalnumber \
      nationalinsurance nino taxid taxnumber steuerid steuernummer sozialversicherungsnummer insee nir numerosecu dni nie nif \
      curp rfc codicefiscale cpf pesel bsn personnummer personalnumber fodselsnummer aadhaar sin ahv nhsnumber rijksregister \
      身份证 身份证号 マイナンバー ",
    ),
    (
        Kind::Passport,
        0.8,
        " passport passportnumber passportno reisepass passeport pasaporte drivinglicence driverslicense \
      driverlicense driverlicence licensenumber idcard idcardnumber ausweis ausweisnummer 护照 ",
    ),
    (
        Kind::Address,
        0.7,
        " address streetaddress street addressline addressline1 addressline2 homeaddress postaladdress \
      billingaddress shippingaddress strasse adresse anschrift hausnummer rue direccion calle domicilio indirizzo endereco \
      logradouro adres straat straatnaam adress gata ulica адрес 地址 住所 ",
    ),
    (
        Kind::PostalCode,
        0.8,
        " zip zipcode postcode postalcode plz postleitzahl codepostal codigopostal cep postnummer postnr \
      postinumero kodpocztowy индекс 邮编 郵便番号 ",
    ),
    (
        Kind::IpAddress,
        0.7,
        " ip ipaddress ipaddr clientip remoteaddr remoteip ",
    ),
    (Kind::MacAddress, 0.7, " mac macaddress macaddr "),
    (
        Kind::DateOfBirth,
        0.9,
        " dob birth birthdate birthday dateofbirth born birthyear yearofbirth geburtsdatum geburtstag \
      geburtsjahr naissance datenaissance datedenaissance nacimiento fechanacimiento fechadenacimiento nascita datanascita \
      datadinascita nascimento datanascimento geboortedatum fodelsedatum fodselsdato urodzenia dataurodzenia рождения \
      датарождения 出生日期 生日 生年月日 ",
    ),
    (
        Kind::Coordinates,
        0.7,
        " lat latitude lon lng long longitude coordinates coords geolocation gps gpslat gpslon ",
    ),
    (
        Kind::Username,
        0.6,
        " username userhandle handle nickname screenname loginname login benutzername identifiant usuario ",
    ),
];

/// Words that make of a name something else: how many telephone numbers, whether an e-mail was sent.
const OTHER: &str = " count has is flag sent opened clicked opt optin optout verified valid hash hashed type status kind category \
 length len days score rate share domain provider service services lines plan contract company product brand file event campaign \
 template page host server table column model version ratio change changes change since last update updated use usage ";

/// The parts of a name: `customerEmail_2` is customer, email.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_ascii_digit() {
            words.push(String::new());
        } else if c.is_uppercase() && before_small {
            words.push(c.to_string());
        } else if let Some(last) = words.last_mut() {
            last.push(c);
        }
        before_small = c.is_lowercase();
    }
    words.retain(|w| !w.is_empty());
    words.iter().map(|w| fold(w)).collect()
}

/// What a name stands for, the surest first; nothing where a word says that it is something else.
pub fn of(name: &str) -> Vec<(Kind, f64)> {
    let words = words(name);
    if words.iter().any(|w| OTHER.contains(&format!(" {w} "))) {
        return Vec::new();
    }
    let mut runs = Vec::new();
    for length in 1..=3.min(words.len()) {
        runs.extend(
            words
                .windows(length)
                .map(|run| format!(" {} ", run.concat())),
        );
    }
    let mut found: Vec<(Kind, f64)> = Vec::new();
    // A longer run says more: `mailing address` is not an e-mail address.
    for run in runs.iter().rev() {
        for (kind, sure, known) in HINTS {
            if known.contains(run) && !found.iter().any(|(k, _)| k == kind) {
                found.push((*kind, *sure));
            }
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    // `street name` and `e-mail address` are one thing, not two.
    if found.len() > 1 && found.iter().any(|(kind, _)| *kind != Kind::Name) {
        found.retain(|(kind, sure)| *kind != Kind::Name || *sure > 0.5);
    }
    if found
        .iter()
        .any(|(kind, _)| matches!(kind, Kind::Email | Kind::IpAddress | Kind::MacAddress))
    {
        found.retain(|(kind, _)| *kind != Kind::Address);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_understood() {
        for (name, expected) in [
            ("first_name", Some(Kind::Name)),
            ("firstName", Some(Kind::Name)),
            ("Nachname", Some(Kind::Name)),
            ("customer_email", Some(Kind::Email)),
            ("email_address", Some(Kind::Email)),
            ("E-Mail", Some(Kind::Email)),
            ("ip_address", Some(Kind::IpAddress)),
            ("Téléphone", Some(Kind::Phone)),
            ("numero_telephone", Some(Kind::Phone)),
            ("date_of_birth", Some(Kind::DateOfBirth)),
            ("Geburtsdatum", Some(Kind::DateOfBirth)),
            ("zip", Some(Kind::PostalCode)),
            ("street_name", Some(Kind::Address)),
            ("user_name", Some(Kind::Username)),
            ("身份证号", Some(Kind::NationalNumber)),
            ("PhoneService", None),
            ("email_sent", None),
            ("product_name", None),
            ("churn", None),
            ("age", None),
            ("", None),
        ] {
            let found = of(name);
            let found = found.iter().map(|(kind, _)| *kind).next();
            assert_eq!(found, expected, "{name}");
        }
    }
}
