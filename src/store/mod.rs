//! redb: schema, journal, state, creation, recovery. The only user of redb.
