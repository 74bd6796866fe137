//! How the run was made, and how to make it again.

use maud::{Markup, html};

use super::View;
use crate::report::describe::{duration_us, grouped};

/// Command, plan, host, binaries, timings.
pub fn section(view: &View) -> Markup {
    let run = view.run;
    html! {
        section aria-labelledby="run" {
            h2 id="run" { "Run it again" }
            pre { (run.command) }
            details {
                summary { "The plan" }
                pre { (view.plan) }
            }
            h2 { "Cluster and host" }
            dl.facts {
                dt { "Nodes" }
                dd { @for node in &run.nodes { (node.id) " (" (node.release) ") " } }
                dt { "Runtime" }
                dd { (run.runtime) }
                dt { "Network" }
                dd { (run.network.kind) @if let Some(cost) = &run.network.cost { ": " (cost) } }
                dt { "Host" }
                dd {
                    (run.host.kernel) ", " (run.host.cores) " cores, "
                    (format!("{:.1} GiB", run.host.memory_bytes as f64 / f64::from(1 << 30))) " memory, as " (run.host.user)
                }
                @for binary in &run.binaries {
                    dt { "Binary" }
                    dd { @if !binary.releases.is_empty() { (binary.releases.join(", ")) ": " } (binary.path) br; span.mono.soft { (binary.digest) } }
                }
                @for image in &run.images {
                    dt { "Image" }
                    dd {
                        (image.release) ": " (image.name) br; span.mono.soft { (image.id) }
                        @for digest in &image.digests { br; span.mono.soft { (digest) } }
                    }
                }
                @if !run.phases.is_empty() {
                    dt { "Timings" }
                    dd {
                        @for (position, phase) in run.phases.iter().enumerate() {
                            @if position > 0 { ", " }
                            (phase.name) " " (duration_us(phase.ms.saturating_mul(1000)))
                        }
                    }
                }
                dt { "History" }
                dd {
                    (grouped(view.judgement.stats.events)) " events, "
                    @if view.collected.has_end() { "complete" } @else { "cut short: it has no end mark" }
                    @if let Some(torn) = &view.judgement.stats.torn {
                        "; a torn tail of " (grouped(torn.bytes)) " bytes at offset " (torn.offset) " was cut"
                    }
                }
            }
        }
    }
}
