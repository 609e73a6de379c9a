//! Subnets that a network has go into a pool.

use super::*;
use addrd_protocol::message::SubnetOnboard;

impl Machine {
    pub(super) fn onboard(&mut self) {
        let Some((number, pool)) = self.a_network_and_a_pool() else { return };
        let net = self.model.networks[&number].clone();
        let moving: Vec<(u128, Cells)> = net
            .subnets
            .iter()
            .filter(|(_, (_, from))| *from != Some(pool))
            .map(|(id, (cells, _))| (*id, *cells))
            .collect();
        let now = self.onboarded(&net, pool, &moving);
        let request = SubnetOnboard { subnet_pool_id: id(pool), expected: Revision(0) };
        let request = Request::SubnetOnboard(request);
        let reply = self.ask(&of(net.project, number), &request, now.is_some());
        let (Some(now), Some(Reply::Pool(shown))) = (now, reply) else { return };
        assert_eq!(shown.repeated, moving.is_empty());
        let known = self.model.pools.get_mut(&pool).unwrap();
        known.cells = now;
        let subnets = &mut self.model.networks.get_mut(&number).unwrap().subnets;
        for (subnet, cells) in moving {
            subnets.insert(subnet, (cells, Some(pool)));
            let by = By::Subnet(number, subnet);
            known.taken.push(Taken { cells, project: net.project, by, until: None });
        }
        agree(&shown, known, net.project);
    }

    /// Most often a network with something to move, and a pool of its own project.
    fn a_network_and_a_pool(&mut self) -> Option<(u128, u128)> {
        let mut best = None;
        for _ in 0..8 {
            let (number, pool) = (1 + self.number(NETWORKS), self.a_pool());
            let Some(net) = self.model.networks.get(&number) else { continue };
            best = Some((number, pool));
            let known = self.model.pools.get(&pool);
            let is_own = known.is_some_and(|known| known.project == net.project);
            if is_own && net.subnets.values().any(|(_, from)| from.is_none()) {
                break;
            }
        }
        best
    }

    /// The pool's cells afterwards; `None` if it must be refused.
    fn onboarded(&self, net: &Net, pool: u128, moving: &[(u128, Cells)]) -> Option<Cells> {
        let known = self.model.pools.get(&pool).filter(|known| known.is_seen_by(net.project))?;
        if moving.is_empty() {
            return Some(known.cells);
        }
        let of_others = moving.iter().any(|(subnet, _)| net.subnets[subnet].1.is_some());
        let all = moving.iter().fold(0, |sum, (_, cells)| sum | cells);
        let in_use = known.cells & !known.free();
        let others = net.scope.is_some() && net.scope != known.scope;
        if of_others || others || all & in_use != 0 || !known.may(net.project, all) {
            return None;
        }
        // A subnet is inside of one prefix of the pool, or it is added as a whole.
        let inside = |cells: Cells| {
            let whole = blocks(known.free());
            whole.into_iter().any(|(order, at)| self::cells(order, at) & cells == cells)
        };
        let added: Vec<Cells> =
            moving.iter().map(|(_, cells)| *cells).filter(|cells| !inside(*cells)).collect();
        let is_own = known.project == net.project && known.parent.is_none();
        let more = added.iter().fold(0, |sum, cells| sum | cells);
        let is_known = net.scope.is_some();
        let fits = is_known || self.model.fits_scope(known.scope, more, Some(pool));
        (added.is_empty() || is_own && fits).then_some(known.cells | more)
    }
}
