//! Images: by name, of a program, missing, made once.

use std::fs;

use keyquake_cluster::Ending;
use keyquake_docker::{DockerError, Engine, Images, Source, Wanted};

use crate::stage::{Fixture, block_on, own};

/// A static program that exits with this code: the smallest distroless image there is.
fn exits_with(code: u8) -> Vec<u8> {
    let (machine, code): (u16, Vec<u8>) = match std::env::consts::ARCH {
        // mov edi, CODE; mov eax, 60; syscall
        "x86_64" => {
            let rest = *b"\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05";
            (62, [&[0xbf, code], &rest[..]].concat())
        }
        // mov x0, #CODE; mov x8, #93; svc #0
        "aarch64" => {
            let load = 0xd280_0000 | u32::from(code) << 5;
            let rest = *b"\xa8\x0b\x80\xd2\x01\x00\x00\xd4";
            (183, [&load.to_le_bytes(), &rest[..]].concat())
        }
        other => panic!("write a program for {other}"),
    };
    const BASE: u64 = 0x40_0000;
    let size = 64 + 56 + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2u16.to_le_bytes(), machine.to_le_bytes()].concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + 64 + 56, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    let segment = [0, BASE, BASE, size, size, 0x1000];
    elf.extend(segment.map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}

pub fn by_name() {
    block_on(async {
        let engine = Engine::find().await.unwrap();
        let images = Images::prepare(&engine, &own()).await.unwrap();
        let name = images.of("one").unwrap().name.clone();
        let wanted = Wanted {
            by_release: [("ONE".to_owned(), Source::Named(name.clone()))].into(),
            ..Wanted::default()
        };
        let fixture = Fixture::with(1, "idle", &wanted).await;
        fixture.start(0).await;
        assert!(
            fixture
                .log(0)
                .contains(&format!("in image {name} (sha256:"))
        );
        fixture.end().await;
    });
}

pub fn of_program() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let program = |code: u8| {
            let path = dir.path().join(format!("exits-with-{code}"));
            fs::write(&path, exits_with(code)).unwrap();
            Source::Program(path)
        };
        let wanted = Wanted {
            by_release: [("eight".to_owned(), program(8))].into(),
            other: Some(program(7)),
            ..Wanted::default()
        };
        let engine = Engine::find().await.unwrap();
        let images = Images::prepare(&engine, &wanted).await.unwrap();
        let fixture = Fixture::with(1, "idle", &wanted).await;
        fixture.cluster.start(0).await.unwrap();
        let ending = fixture.cluster.wait_exit(0).await.unwrap();
        assert_eq!(ending, Ending::Code(7));
        // The other release is the other program, in an image of its own.
        let mut spec = fixture.cluster.spec(0).await.unwrap();
        spec.release = "eight".into();
        fixture.cluster.restart(0, spec).await.unwrap();
        let ending = fixture.cluster.wait_exit(0).await.unwrap();
        assert_eq!(ending, Ending::Code(8));
        fixture.end().await;
        for release in ["any", "eight"] {
            images.of(release).unwrap().forget(&engine).await.unwrap();
        }
    });
}

pub fn wrong() {
    block_on(async {
        let engine = Engine::find().await.unwrap();
        let prepare = async |other: Source| {
            let wanted = Wanted {
                other: Some(other),
                ..Wanted::default()
            };
            Images::prepare(&engine, &wanted).await.err().unwrap()
        };
        let name = "keyquake.invalid/there-is-none:of-this-name";
        let error = prepare(Source::Named(name.into())).await;
        assert!(matches!(&error, DockerError::NoImage(missing) if missing == name));
        assert!(error.to_string().contains("docker pull"), "{error}");
        let error = prepare(Source::Program("/bin/sh".into())).await;
        assert!(error.to_string().contains("linked dynamically"), "{error}");
        let none = Images::prepare(&engine, &Wanted::default()).await.unwrap();
        let error = none.of("6a").unwrap_err().to_string();
        assert!(error.contains("--image 6a=NAME"), "{error}");
    });
}

pub fn once() {
    block_on(async {
        let engine = Engine::find().await.unwrap();
        let first = Images::prepare(&engine, &own()).await.unwrap();
        let again = Images::prepare(&engine, &own()).await.unwrap();
        for release in ["one", "two"] {
            let (first, again) = (first.of(release).unwrap(), again.of(release).unwrap());
            assert_eq!(first, again);
            assert!(first.id.starts_with("sha256:"), "{}", first.id);
        }
        let ids = ["one", "two"].map(|release| first.of(release).unwrap().id.clone());
        assert_ne!(ids[0], ids[1], "each release has an image of its own");
    });
}
