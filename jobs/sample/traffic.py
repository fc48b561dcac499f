"""What shoppers do, day by day: visits, views, favourites, carts, purchases, returns.

A visit starts from a need (a kind of product), from the last thing seen, or from a plan that an earlier day
left: a cart that was not paid, something that goes with a purchase, a refill. From one product it goes on
to a similar one, to a complement, or to another one that suits the shopper's taste. All visits of a day
walk together, one step at a time, so that the work is done in arrays.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields

import numpy as np

from jobs.sample.catalogue import NEIGHBOURS, Bools, Catalogue, Floats, Ints, campaign_days
from jobs.sample.leaves import LEAVES
from jobs.sample.shoppers import PLATFORMS, Shoppers

KINDS = ("view", "favourite", "cart", "purchase", "return")
VIEW, FAVOURITE, CART, PURCHASE, RETURN = range(len(KINDS))

EVENTS_PER_SHOPPER_DAY = 100 / 56
EVENTS_PER_VISIT = 5.95  # measured; plans of earlier days included
ANONYMOUS = 0.12
MAX_STEPS = 14
CANDIDATES = 12
WEEK = np.array([0.94, 0.9, 0.92, 0.95, 1.06, 1.2, 1.16])  # from Monday
REVISIT, GOES_WITH, REFILL = range(3)
CYCLE = np.array([leaf.cycle for leaf in LEAVES])
RETURNED = np.array([leaf.returns for leaf in LEAVES])


@dataclass(frozen=True)
class Events:
    """Columns of events. `user` is -1 for an anonymous visit, `time` in seconds since midnight of the day."""

    user: Ints
    product: Ints
    kind: Ints
    time: Ints
    price: Floats
    quantity: Ints
    platform: Ints
    visit: Ints

    def __len__(self) -> int:
        return len(self.user)

    def take(self, index: Ints | Bools) -> Events:
        return Events(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @staticmethod
    def concat(parts: list[Events]) -> Events:
        return Events(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)})


@dataclass(frozen=True)
class Visits:
    """Visits of one day. `user` is always someone; `anonymous` says that the shop does not know who.

    `first` is the product with which the visit starts (-1: none yet), `plan` which plan brought it (-1).
    """

    user: Ints
    anonymous: Bools
    leaf: Ints
    first: Ints
    plan: Ints

    def __len__(self) -> int:
        return len(self.user)


class Traffic:
    """The shop's traffic. Call `day` for 0, 1, 2 … in order: what happens depends on what happened."""

    def __init__(
        self, seed: int, catalogue: Catalogue, shoppers: Shoppers, weekday: int, activity: float
    ) -> None:
        self.seed, self.catalogue, self.shoppers = seed, catalogue, shoppers
        self.days = len(catalogue.price)
        self.campaign = campaign_days(self.days)
        self.visits_per_day = self._season(weekday, activity)
        self.trend = self._trend()
        self.last = np.full(len(shoppers.activity), -1)
        self.plans: dict[int, list[tuple[Ints, Ints, Ints]]] = defaultdict(list)
        self.returns: dict[int, list[Events]] = defaultdict(list)
        self.next_visit = 0
        edges = np.searchsorted(catalogue.leaf, np.arange(len(LEAVES) + 1))
        self.leaf_start, self.leaf_stop = edges[:-1], edges[1:]

    def day(self, day: int) -> Events:
        rng = np.random.default_rng([self.seed, 3, day])
        weight, reach = self._shelves(day)
        visits = self._visits(rng, day, reach)
        seen_by, product, step = self._walk(rng, day, visits, weight, reach)
        events = self._act(rng, day, visits, seen_by, product, step)
        back = self._come_back(rng, day, self.next_visit + len(visits))
        self.next_visit += len(visits) + len(back)
        events = Events.concat([events, back])
        return events.take(np.lexsort((events.kind, events.visit, events.time)))

    def _season(self, weekday: int, activity: float) -> Ints:
        day = np.arange(self.days)
        shape = WEEK[(weekday + day) % 7] * (1 + 0.15 * day / self.days)
        shape[self.campaign[0] : self.campaign[1]] *= 2.2
        total = len(self.shoppers.activity) * self.days * EVENTS_PER_SHOPPER_DAY * activity
        visits = np.round(shape / shape.sum() * total / EVENTS_PER_VISIT)
        return np.asarray(np.maximum(1, visits), np.int64)

    def _trend(self) -> Floats:
        """How much each style is in fashion (days, styles): slow waves."""
        rng = np.random.default_rng([self.seed, 4])
        day = np.arange(self.days)[:, None]
        period, phase = rng.uniform(50, 130, 8), rng.uniform(0, 2 * np.pi, 8)
        return np.asarray(np.exp(0.5 * np.sin(2 * np.pi * day / period + phase)))

    def _shelves(self, day: int) -> tuple[Floats, Floats]:
        """How prominent each product is today (n), and their running sum with a leading 0 (n + 1)."""
        c = self.catalogue
        age = day - c.launch
        weight = c.popularity * (self.trend[day] @ c.taste[:, :8].T)
        weight *= np.where(c.launch > 0, 1 + 2.0 * np.exp(-np.maximum(age, 0) / 6), 1.0)
        weight *= np.where(c.stock[day] > 0, 1.0, 0.3) * (age >= 0)
        return weight, np.concatenate([[0.0], np.cumsum(weight)])

    def _visits(self, rng: np.random.Generator, day: int, reach: Floats) -> Visits:
        s, count = self.shoppers, int(self.visits_per_day[day])
        chance = np.cumsum(s.activity * (s.registered <= day))
        user = np.searchsorted(chance, rng.random(count) * chance[-1], side="right")
        anonymous = rng.random(count) < ANONYMOUS
        first = np.where((rng.random(count) < 0.25) & ~anonymous, self.last[user], -1)
        plan = np.full(count, -1)
        for planned_user, planned_product, why in self.plans.pop(day, []):
            user, first = np.concatenate([user, planned_user]), np.concatenate([first, planned_product])
            plan = np.concatenate([plan, why])
        anonymous = np.concatenate([anonymous, np.zeros(len(user) - count, bool)])
        filled = reach[self.leaf_stop] > reach[self.leaf_start]
        wish = np.cumsum(s.leaves[user] * filled, axis=1)
        leaf = (wish < rng.random(len(user))[:, None] * wish[:, -1:]).sum(axis=1)
        led = self.catalogue.leaf[first]
        leaf = np.where((first >= 0) & filled[led], led, leaf)
        return Visits(user, anonymous, leaf, first, plan)

    def _walk(
        self, rng: np.random.Generator, day: int, visits: Visits, weight: Floats, reach: Floats
    ) -> tuple[Ints, Ints, Ints]:
        """Every view of the day: the visit's place, the product, the step."""
        c = self.catalogue
        steps = np.minimum(rng.geometric(0.24, len(visits)), MAX_STEPS)
        steps = np.where(visits.plan >= 0, np.minimum(steps, 3), steps)
        place = np.arange(len(visits))
        here = visits.first.copy()
        out: list[tuple[Ints, Ints, Ints]] = []
        for step in range(MAX_STEPS):
            place = place[steps[place] > step]
            before = here[place]
            choice = rng.random(len(place))
            pick = rng.integers(NEIGHBOURS, size=len(place))
            go = np.where(choice < 0.42, c.near[before, pick], -1)
            go = np.where((choice >= 0.42) & (choice < 0.54), c.with_it[before, pick], go)
            planned = (step == 0) & (visits.plan[place] >= 0)
            go = np.where(planned, before, np.where(before >= 0, go, -1))
            free = (go < 0) | (weight[go] <= 0)
            go[free] = self._choose(rng, visits.user[place[free]], visits.leaf[place[free]], day, reach)
            here[place] = go
            out.append((place, go, np.full(len(place), step)))
        known = ~visits.anonymous
        self.last[visits.user[known]] = here[known]
        joined = [np.concatenate(column) for column in zip(*out, strict=True)]
        return joined[0], joined[1], joined[2]

    def _choose(self, rng: np.random.Generator, user: Ints, leaf: Ints, day: int, reach: Floats) -> Ints:
        """For every shopper, the best of some products that the leaf's shelf shows (Gumbel's trick)."""
        low, high = reach[self.leaf_start[leaf]][:, None], reach[self.leaf_stop[leaf]][:, None]
        at = np.minimum(low + rng.random((len(user), CANDIDATES)) * (high - low), np.nextafter(high, low))
        shown = np.searchsorted(reach, at, side="right") - 1
        score = self._liking(np.repeat(user[:, None], CANDIDATES, axis=1), shown, day)
        return np.asarray(
            shown[np.arange(len(user)), np.argmax(score + rng.gumbel(size=score.shape), axis=1)]
        )

    def _liking(self, user: Ints, product: Ints, day: int) -> Floats:
        """How well a product suits a shopper: taste, less what it costs beyond the shopper's habit."""
        c, s = self.catalogue, self.shoppers
        taste = np.einsum("...d,...d->...", s.taste[user], c.taste[product])
        excess = np.maximum(0.0, c.dearness[product] - s.purse[user])
        return np.asarray(taste - s.thrift[user] * excess)

    def _act(
        self, rng: np.random.Generator, day: int, visits: Visits, visit: Ints, product: Ints, step: Ints
    ) -> Events:
        """Views, and what follows from them in the same visit; leaves plans for later days."""
        c, s = self.catalogue, self.shoppers
        user, n = visits.user[visit], len(visit)
        eager = (visits.plan[visit] >= 0) & (step == 0)
        first_look = np.zeros(n, bool)
        first_look[np.unique(visit * len(c.products) + product, return_index=True)[1]] = True
        campaign = self.campaign[0] <= day < self.campaign[1]
        liking = self._liking(user, product, day) - 0.8 + 0.35 * campaign
        stocked = (c.stock[day][product] > 0) & ~visits.anonymous[visit] & first_look
        favourite = (rng.random(n) < _sigmoid(liking - 3.6)) & ~visits.anonymous[visit] & first_look
        cart = stocked & (rng.random(n) < _sigmoid(0.9 * liking - 2.2 + 2.8 * eager))
        buy = cart & (rng.random(n) < _sigmoid(0.3 * liking - 0.7 + 1.6 * eager))
        hour = (s.hour[visits.user] + rng.normal(0, 1.2, len(visits))) % 24
        start = (np.minimum(hour * 3600, 86_399 - 3_600)).astype(np.int64)
        time = start[visit] + step * 150 + rng.integers(0, 90, n)
        platform = np.where(
            rng.random(len(visits)) < 0.8,
            s.platform[visits.user],
            rng.integers(len(PLATFORMS), size=len(visits)),
        )
        views = Events(
            user=np.where(visits.anonymous[visit], -1, user),
            product=product,
            kind=np.full(n, VIEW),
            time=time,
            price=c.price[day][product],
            quantity=np.ones(n, np.int64),
            platform=platform[visit],
            visit=self.next_visit + visit,
        )
        units = 1 + rng.binomial(3, np.where(CYCLE[c.leaf[product]] > 0, 0.25, 0.02))
        bought = _then(views, buy, PURCHASE, (MAX_STEPS - step) * 150 + rng.integers(90, 600, n), units)
        self._plan(rng, day, views.take(cart & ~buy), bought)
        return Events.concat(
            [
                views,
                _then(views, favourite, FAVOURITE, rng.integers(3, 30, n)),
                _then(views, cart, CART, rng.integers(31, 58, n), units),
                bought,
            ]
        )

    def _plan(self, rng: np.random.Generator, day: int, left: Events, bought: Events) -> None:
        """What this day's carts and purchases lead to: a second look, complements, refills, returns."""
        c = self.catalogue
        again = rng.random(len(left)) < 0.35
        self._note(left.user[again], left.product[again], day + rng.integers(1, 4, again.sum()), REVISIT)
        leaf = c.leaf[bought.product]
        partner = c.with_it[bought.product, rng.integers(NEIGHBOURS, size=len(bought))]
        other = (rng.random(len(bought)) < 0.35) & (c.leaf[partner] != leaf)
        due = day + rng.integers(1, 8, len(bought))
        self._note(bought.user[other], partner[other], due[other], GOES_WITH)
        cycle = CYCLE[leaf] * bought.quantity
        refill = (cycle > 0) & (rng.random(len(bought)) < 0.6)
        due = day + np.maximum(3, np.round(cycle * rng.normal(1.0, 0.15, len(bought)))).astype(np.int64)
        self._note(bought.user[refill], bought.product[refill], due[refill], REFILL)
        sent_back = rng.random(len(bought)) < RETURNED[leaf]
        due = day + rng.integers(2, 11, len(bought))
        for later in np.unique(due[sent_back]):
            self.returns[int(later)].append(bought.take(sent_back & (due == later)))

    def _note(self, user: Ints, product: Ints, due: Ints, why: int) -> None:
        for day in np.unique(due):
            now = due == day
            self.plans[int(day)].append((user[now], product[now], np.full(int(now.sum()), why)))

    def _come_back(self, rng: np.random.Generator, day: int, first_visit: int) -> Events:
        """The returns of this day: each its own visit, at the price that was paid."""
        none = np.empty(0, np.int64)
        empty = Events(none, none, none, none, np.empty(0), none, none, none)
        bought = Events.concat([empty, *self.returns.pop(day, [])])
        n = len(bought)
        return Events(
            user=bought.user,
            product=bought.product,
            kind=np.full(n, RETURN),
            time=rng.integers(6 * 3600, 22 * 3600, n),
            price=bought.price,
            quantity=rng.integers(1, bought.quantity + 1),
            platform=bought.platform,
            visit=first_visit + np.arange(n),
        )


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def _then(views: Events, happens: Bools, kind: int, delay: Ints, units: Ints | None = None) -> Events:
    """The events of another kind that follow some of the views."""
    after = views.take(happens)
    return Events(
        user=after.user,
        product=after.product,
        kind=np.full(len(after), kind),
        time=after.time + delay[happens],
        price=after.price,
        quantity=after.quantity if units is None else units[happens],
        platform=after.platform,
        visit=after.visit,
    )
