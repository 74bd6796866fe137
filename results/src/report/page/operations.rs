//! Operations by kind, and the errors by text.

use maud::{Markup, html};

use super::View;
use crate::report::collect::{ErrorGroup, KindStats, OpKind};
use crate::report::counted;
use crate::report::describe::{duration_us, grouped, moment};

/// Both tables.
pub fn section(view: &View) -> Markup {
    html! {
        section aria-labelledby="operations" {
            h2 id="operations" { "Operations by kind" }
            @if view.collected.kinds.is_empty() {
                p { "No operation was recorded." }
            } @else {
                (kinds(view))
            }
        }
        section aria-labelledby="errors" {
            h2 id="errors" { "Errors" }
            (errors(view))
        }
    }
}

fn kinds(view: &View) -> Markup {
    html! {
        div.scroll {
            table {
                caption { "Latency of the successful ones, from invocation to answer." }
                thead { tr {
                    th scope="col" { "Workload" } th scope="col" { "Operation" }
                    th.num scope="col" { "Invoked" }
                    th.num scope="col" { "ok" } th.num scope="col" { "fail" } th.num scope="col" { "info" }
                    th.num scope="col" { "p50" } th.num scope="col" { "p95" } th.num scope="col" { "p99" }
                    th.num scope="col" { "p99.9" } th.num scope="col" { "max" }
                } }
                tbody { @for (kind, stats) in &view.collected.kinds { (kind_row(*kind, stats)) } }
            }
        }
        @if view.collected.unanswered() > 0 {
            p.soft { (counted(view.collected.unanswered(), "operation")) " had no answer when the history ended." }
        }
    }
}

fn kind_row(kind: OpKind, stats: &KindStats) -> Markup {
    let latency = |quantile: f64| match stats.latency_us.len() {
        0 => "–".to_owned(),
        _ => duration_us(stats.latency_us.value_at_quantile(quantile)),
    };
    html! {
        tr {
            td { (kind.workload().name()) }
            th scope="row" { (kind.name()) }
            td.num { (grouped(stats.invoked)) }
            td.num { (grouped(stats.counts.ok)) }
            td.num { (grouped(stats.counts.fail)) }
            td.num { (grouped(stats.counts.info)) }
            @for quantile in [0.5, 0.95, 0.99, 0.999, 1.0] { td.num { (latency(quantile)) } }
        }
    }
}

fn errors(view: &View) -> Markup {
    let groups = view.collected.errors.groups();
    if groups.is_empty() {
        return html! { p { "No operation ended in an error." } };
    }
    html! {
        div.scroll {
            table {
                thead { tr {
                    th.num scope="col" { "Count" } th scope="col" { "Outcome" } th scope="col" { "Workload" }
                    th scope="col" { "Text" } th.num scope="col" { "First" } th.num scope="col" { "Last" }
                } }
                tbody { @for group in &groups { (error_row(group)) } }
            }
        }
        @if view.collected.errors.beyond > 0 {
            p.soft { "And " (counted(view.collected.errors.beyond, "error")) " with other texts." }
        }
    }
}

fn error_row(group: &ErrorGroup) -> Markup {
    html! {
        tr {
            td.num { (grouped(group.count)) }
            td.(group.outcome) { (group.outcome) }
            td { (group.workload.name()) }
            td.wrap { (group.text) }
            td.num { (moment(group.first_ns)) }
            td.num { (moment(group.last_ns)) }
        }
    }
}
