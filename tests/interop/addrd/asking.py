"""Bodies of requests with the members that most callers leave as they are."""

from .owner import owner_id


def allocate(owner, slot=0, family="one", strategy="default", flags=None, instance=0, **more):
    """`owner` is text; `more` are entries of the tail."""
    body = {
        "flags": flags or {}, "family": family, "strategy": strategy, "slot": slot, "owner": owner_id(owner),
        "instance": str(instance),
    }
    return body | {"owner_name": owner} | more


def key(owner, slot=0):
    return {"target": {"key": {"owner": owner_id(owner), "slot": slot}}}


def at(address):
    return {"target": {"address": address}}


def subnet(subnet_id, cidr, kind="broadcast", strategy="default", **more):
    """What is released is free at once, unless `more` says otherwise."""
    body = {"subnet_id": subnet_id, "cidr": cidr, "kind": kind, "strategy": strategy, "quarantine_ms": 0}
    return body | more


def listing(**filters):
    return {"limit": 0} | filters


def pages(call, opcode, body, network, between=None):
    """The pages of a list, one after the other; `between` is called before each but the first."""
    cursor = {}
    while True:
        reply = call(opcode, body | cursor, network)
        if reply.status != "OK":
            raise AssertionError(f"{opcode}: {reply}")
        yield reply.body
        if "next" not in reply.body:
            return
        cursor = {"cursor": reply.body["next"]}
        if between:
            between()


def objects(call, opcode, body, network):
    """All objects of a list."""
    return [item for page in pages(call, opcode, body, network) for item in page["items"]]
