//! Who asked.

use super::super::{RecordError, decode, encode};
use crate::limits::ASKED_RECORD_BYTES;
use crate::model::{Asked, Asker, Effect, PrincipalId};
use addrd_protocol::Opcode;
use proptest::prelude::*;

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        Just(Asked::default()),
        any::<u16>().prop_map(|opcode| Asked { by: Asker::Operator, opcode: opcode_of(opcode) }),
        (1_u128.., any::<u16>()).prop_map(|(id, opcode)| Asked {
            by: Asker::Principal(PrincipalId::from_u128(id)),
            opcode: opcode_of(opcode),
        }),
    ]
}

fn opcode_of(number: u16) -> Option<Opcode> {
    (number != 0).then_some(Opcode(number))
}

pub(super) fn golden() -> [(&'static str, Effect); 3] {
    let by = Asker::Principal(PrincipalId::from_u128(0x11));
    [
        ("asked-nobody", Effect::Asked(Asked::default())),
        ("asked-operator", Effect::Asked(Asked::new(Asker::Operator, Opcode::PRINCIPAL_CREATE))),
        ("asked-principal", Effect::Asked(Asked::new(by, Opcode::ALLOCATE))),
    ]
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut good = Vec::new();
    let (_, effect) = &golden()[2];
    encode(effect, &mut good);
    assert_eq!(good.len(), ASKED_RECORD_BYTES);
    // Flags: nobody and operator with an id, both at once, one that isn't known.
    for flags in [0, 1, 3, 4] {
        let mut bad = good.clone();
        bad[3] = flags;
        assert!(decode(&bad).is_err(), "flags {flags}");
    }
    let mut nobody = Vec::new();
    encode(&golden()[0].1, &mut nobody);
    *nobody.last_mut().unwrap() = 1;
    assert_eq!(decode(&nobody).err(), Some(RecordError::Field("asker")));
}

#[test]
fn what_records_say_themselves_is_not_said_twice() {
    let by = Asker::Operator;
    assert_eq!(Asked::new(by, Opcode::RELEASE).opcode, None);
    assert_eq!(Asked::new(by, Opcode::BATCH).opcode, Some(Opcode::BATCH));
    assert_eq!(Asked::new(Asker::Nobody, Opcode::BATCH), Asked::default());
}
