//! Every statement that runs beside traffic finds its rows by an index: none walks a table or sorts what it found.

use statehold_core::Time;
use statehold_sql::{Options, Setup, Sql, Val, migrate};

use super::schema::STEPS;
use super::{commit, movable, reads, scans, sweep};

#[test]
fn g015_no_hot_statement_walks_a_table_or_sorts() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::open(&Options::at(directory.path().join("state.db"))).unwrap();
    migrate(&setup, STEPS, Time::default()).unwrap();
    let by_key = "PRIMARY KEY (space=? AND bucket=? AND partition=? AND item";
    let by_deadline = "INDEX items_by_deadline (space=? AND ";
    let wanted: [(&Sql, &str); 24] = [
        (&commit::SELECT, by_key),
        (&commit::SELECT_LEAN, by_key),
        (&commit::REPLACE, by_key),
        (&commit::PUT, by_key),
        (&commit::REMOVE, by_key),
        (&commit::IS_MARKED, "kind=? AND partition=? AND item=?"),
        (&commit::RECEIPTS, by_key),
        (&reads::ITEM, by_key),
        (&reads::CONTROL_OF_BUCKET, "PRIMARY KEY (space=? AND bucket=?)"),
        (&reads::LIST, by_key),
        (&reads::LIST_REVERSE, by_key),
        (&reads::LIST_NAMES, by_key),
        (&reads::LIST_NAMES_REVERSE, by_key),
        (&reads::COUNT, by_key),
        (&scans::LIVE, "PRIMARY KEY (space=? AND (bucket"),
        (&scans::RAW, "PRIMARY KEY (space=? AND (bucket"),
        (&scans::EXPIRED, by_deadline),
        (&sweep::EXPIRED, by_deadline),
        (&sweep::REMOVE, by_key),
        (&movable::MARKS, "INDEX marks_by_kind (space=? AND bucket=? AND kind=?)"),
        (&movable::CLEAR_DIRTY, by_key),
        (&movable::CLEAR_UNCHECKED, by_key),
        (&movable::ITEMS_OF, "PRIMARY KEY (space=? AND bucket=?)"),
        (&movable::MARKS_OF, "(space=? AND bucket=?"),
    ];
    let mut others = Vec::new();
    for (sql, way) in wanted {
        let plan = plan(&setup, sql);
        let finds = plan.iter().any(|step| step.contains(way));
        let walks = plan.iter().any(|step| step.starts_with("SCAN") && !step.contains("(subquery"));
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        if !finds || walks || sorts {
            others.push(format!("{sql:?}: {plan:?}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
}

fn plan(setup: &Setup, sql: &Sql) -> Vec<String> {
    let count = (1..20).take_while(|n| sql.text().contains(&format!("${n}"))).count();
    let text: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {}", sql.text()).into_boxed_str());
    let explain = Sql::new(text);
    let parameters = vec![Val::Int(1); count];
    setup.transact(|tx| tx.query(&explain, &parameters, |row| row.text(3).map(str::to_owned))).unwrap()
}
