//! Addresses for a run: a network of 256 that nobody else on this machine has.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;

use crate::engine::Engine;
use crate::error::DockerError;

/// Where networks are looked for: 10.64.0.0/10, which Docker itself gives out last.
const POOL: u32 = u32::from_be_bytes([10, 64, 0, 0]);
const POOL_BITS: u32 = 10;

impl Engine {
    /// A network of 256 addresses that neither the engine nor this machine uses. Two suites
    /// that ask at the same moment get different ones, but for bad luck: the search begins anywhere.
    ///
    /// # Errors
    /// When all are in use, or the engine doesn't answer.
    pub async fn free_subnet(&self) -> Result<Ipv4Addr, DockerError> {
        let mut taken: Vec<Range> = self
            .subnets()
            .await?
            .iter()
            .filter_map(|subnet| parse(subnet))
            .collect();
        // A machine without this file has no routes that could be hit.
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        taken.extend(routes.lines().skip(1).filter_map(route));
        let start = RandomState::new().hash_one(std::process::id()) as u32;
        choose(&taken, start).ok_or(DockerError::NoSubnet)
    }
}

/// First and last address.
type Range = (u32, u32);

fn choose(taken: &[Range], start: u32) -> Option<Ipv4Addr> {
    let count = 1 << (32 - POOL_BITS - 8);
    (0..count)
        .map(|step| POOL + (start.wrapping_add(step) % count) * 256)
        .find(|first| {
            taken
                .iter()
                .all(|(low, high)| *high < *first || *low > first + 255)
        })
        .map(Ipv4Addr::from)
}

/// `172.17.0.0/16`
fn parse(text: &str) -> Option<Range> {
    let (address, bits) = text.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
    Some(range(address, u32::MAX.checked_shl(32 - bits).unwrap_or(0)))
}

/// A line of `/proc/net/route`; addresses are in hexadecimal, lowest byte first.
fn route(line: &str) -> Option<Range> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let number = |field: &str| Some(u32::from_str_radix(field, 16).ok()?.swap_bytes());
    let (destination, mask) = (number(fields.get(1)?)?, number(fields.get(7)?)?);
    // The default route is no claim, and neither is one that covers the whole pool.
    (mask.leading_ones() > POOL_BITS).then(|| range(destination, mask))
}

fn range(address: u32, mask: u32) -> Range {
    (address & mask, address | !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_networks_are_passed_over() {
        let none = choose(&[], 0).unwrap();
        assert_eq!(none, Ipv4Addr::new(10, 64, 0, 0));
        let taken = [
            parse("10.64.0.0/15").unwrap(),
            parse("10.66.0.64/26").unwrap(),
        ];
        assert_eq!(choose(&taken, 0).unwrap(), Ipv4Addr::new(10, 66, 1, 0));
        assert_eq!(choose(&[parse("10.0.0.0/8").unwrap()], 7), None);
        assert_eq!(parse("fd00::/64"), None);
    }

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let line = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0";
        assert_eq!(route(line), parse("172.17.0.0/16"));
        let default = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0";
        assert_eq!(route(default), None);
    }
}
