//! The auditor on disks made with the real storage engine and the real cipher, whole and
//! tampered with. The bytes are put together here by the contract, not by the auditor's code.

mod clean;
mod elastickv;
mod fixture;
mod nonces;
mod past;
mod put_back;
mod replicas;
mod scan;
mod tampered;
