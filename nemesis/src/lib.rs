//! Faults, plans and their evidence: armed, effective, healed
