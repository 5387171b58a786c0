"""How a world ends: everything works again, and all must be there, and once."""

from __future__ import annotations

from stats_aggregator import failpoints
from tests.aggregator.model.checks import check_counts, check_site
from tests.aggregator.model.world import World

_PATIENCE_S, _LOOK_S = 1000, 5


def finish(world: World) -> None:
    """Let everything work again, and check that all which was acknowledged is counted, and once."""
    settle(world)
    check_counts(world.crew, world.sites, world.launched)
    current = world.site
    for site in world.sites:
        if site is not current:
            site.start(world.clock)
        site.core.engine.stop(close_all=True)
        site.store_all()
        check_site(site, world.launched)
        site.desk.check()
        if site is not current:
            site.close()


def settle(world: World) -> None:
    """Let everybody deliver all that they have; fail where somebody cannot."""
    failpoints.arm("")
    world.tick()
    world.exchange()
    for _ in range(_PATIENCE_S // _LOOK_S):
        world.store_all()
        if all(worker.is_done for worker in world.crew):
            return
        world.pass_s(_LOOK_S)
        world.exchange()
    raise AssertionError(f"stranded: {[worker.name for worker in world.crew if not worker.is_done]}")
