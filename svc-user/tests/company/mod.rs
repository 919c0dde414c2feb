mod configuration;
mod create;
mod document;
mod document_type;
mod invitation;
mod list;
mod member;
mod membership;
mod review;
mod roles;
mod update;

use nats::types::{CompanyId, CompanyRole};
use serde_json::{Value, json};
use stack::{
    Bed,
    bed::{Answer, Client},
};

use crate::{register, sql, user_of};

const COMPANIES: &str = "/v1/companies";
/// A company that there is not.
const NOWHERE: &str = "/v1/companies/cmp_01h455vb4pex5vsknk084sn02q";

/// What somebody sends to register a company.
fn kontor() -> Value {
    json!({
        "name": "Kontor", "legal_name": "Kontor & Söhne GmbH", "vat_id": "DE123456789", "registration_number": "HRB 1",
        "eori": "DE1234567", "email": "office@kontor.example", "phone": "+49 40 1", "address": {
            "name": "Kontor & Söhne", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457",
            "country": "DE",
        },
    })
}

/// Somebody who registered.
async fn person(bed: &Bed, email: &str) -> Client {
    bed.customer_with_id(user_of(&register(bed, email).await))
}

/// A company of this owner: its path.
async fn company_of(owner: &Client) -> String {
    let created = owner.post(COMPANIES, &kontor()).send().await;
    assert_eq!(created.status, 201, "{created}");
    created.header("location").expect("where it is").to_owned()
}

/// A company, by its path.
struct Company {
    bed: Bed,
    path: String,
    owner: Client,
}

impl Company {
    /// One that Ada owns, in a bed of its own.
    async fn of_ada(bed: Bed) -> Self {
        let owner = person(&bed, "ada@example.com").await;
        Self { path: company_of(&owner).await, bed, owner }
    }

    fn id(&self) -> CompanyId {
        id_of(&self.path)
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }

    /// Somebody new with this role in it.
    async fn member(&self, email: &str, role: CompanyRole) -> Client {
        let member = person(&self.bed, email).await;
        join(&self.bed, &self.path, &member, role).await;
        member
    }

    /// Staff approves it.
    async fn approved(&self) -> Answer {
        let answer = self.bed.staff().request("POST", &self.at("approve")).send().await;
        assert_eq!(answer.status, 200, "{answer}");
        answer
    }
}

fn id_of(path: &str) -> CompanyId {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

/// Makes somebody a member, as an accepted invitation would.
async fn join(bed: &Bed, path: &str, member: &Client, role: CompanyRole) {
    let (company, user) = (id_of(path).uuid(), member.user_id().uuid());
    sql(
        bed,
        &format!("insert into company_member (company_id, user_id, role) values ('{company}', '{user}', '{role}')"),
    )
    .await;
}

/// How many entries a page has.
fn entries(answer: &Answer) -> usize {
    assert_eq!(answer.status, 200, "{answer}");
    answer.at("/data").as_array().map_or(0, Vec::len)
}
