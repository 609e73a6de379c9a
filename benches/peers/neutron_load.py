"""Calls Neutron's reference IPAM driver for some seconds and prints as JSON what came of it.

Runs in the virtual environment that has Neutron: SOCKET_FOLDER SUBNET JOB CLIENTS SECONDS. Job allocate
takes addresses; job churn takes one and gives one back in turn. The driver's own code does both;
only where it would look up the subnet in Neutron's tables it is told.
"""

import json
import multiprocessing
import queue
import sys
import time
import types

TRIES_MAX = 50


def context_of(folder):
    from neutron_lib import context
    from oslo_config import cfg
    from oslo_db import options

    url = f"postgresql+psycopg2://bench@/postgres?host={folder}"
    options.set_defaults(cfg.CONF, connection=url)
    cfg.CONF([], project="neutron")
    return context.get_admin_context()


def take(driver, requests, ctx, outer):
    """As ML2 does it: load the subnet, allocate, try again when another one was faster."""
    from neutron_lib.db import api

    for tries in range(TRIES_MAX):
        try:
            with api.CONTEXT_WRITER.using(ctx):
                subnet = driver.NeutronDbSubnet.load(outer, ctx)
                return subnet.allocate(requests.AnyAddressRequest()), tries
        except Exception as fault:
            # The same rule as that of its API.
            if not api.is_retriable(fault):
                raise
    raise SystemExit("others were faster each time")


def give(driver, ctx, outer, address):
    from neutron_lib.db import api

    with api.CONTEXT_WRITER.using(ctx):
        driver.NeutronDbSubnet.load(outer, ctx).deallocate(address)


def client(folder, outer, job, seconds, gate, results):
    import netaddr
    from neutron.ipam import requests
    from neutron.ipam.drivers.neutrondb_ipam import driver

    ctx = context_of(folder)
    subnet = types.SimpleNamespace(cidr=netaddr.IPNetwork("10.1.0.0/16"),
                                   gateway_ip=netaddr.IPAddress("10.1.0.1"), tenant_id="bench")
    driver.NeutronDbSubnet._fetch_subnet = classmethod(lambda *_: subnet)
    # The first call connects and prepares; it is not counted.
    address, _ = take(driver, requests, ctx, outer)
    give(driver, ctx, outer, address)
    gate.wait()
    began, times, held, retries = time.perf_counter(), [], [], 0
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        address, tries = take(driver, requests, ctx, outer)
        times.append(time.perf_counter() - start)
        retries += tries
        if job == "churn":
            start = time.perf_counter()
            give(driver, ctx, outer, address)
            times.append(time.perf_counter() - start)
        else:
            held.append(address)
    results.put((times, held, retries, time.perf_counter() - began))


def main():
    folder, outer, job, clients, seconds = sys.argv[1:]
    gate, results = multiprocessing.Barrier(int(clients)), multiprocessing.Queue()
    words = (folder, outer, job, float(seconds), gate, results)
    crew = [multiprocessing.Process(target=client, args=words, daemon=True)
            for _ in range(int(clients))]
    for one in crew:
        one.start()
    found = []
    while len(found) < len(crew):
        try:
            found.append(results.get(timeout=0.2))
        except queue.Empty:
            if any(one.exitcode for one in crew):
                raise SystemExit("a client has failed") from None
    times = sorted(took for one in found for took in one[0])
    held = [address for one in found for address in one[1]]
    print(json.dumps({
        "operations": len(times), "held": len(held), "twice": len(held) - len(set(held)),
        "retries": sum(one[2] for one in found),
        "rate": sum(len(one[0]) / one[3] for one in found),
        "p50_us": times[len(times) // 2] * 1e6, "p99_us": times[int(len(times) * 0.99)] * 1e6,
    }))


if __name__ == "__main__":
    main()
