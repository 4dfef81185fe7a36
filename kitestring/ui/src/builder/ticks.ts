/** Which suggestions are ticked, and which are left: one value for each place. */
import type { Proposal } from './projects';

const placeOf = (proposal: Proposal) => JSON.stringify(proposal.path);

/** Ticked at first: the best of each place, unless the suggestion itself warns of what it does. */
export function tickedAtFirst(proposals: readonly Proposal[]): Proposal[] {
  return proposals.filter((proposal, index) => proposal.warning === '' && proposals.findIndex((other) => placeOf(other) === placeOf(proposal)) === index);
}

/** Those that are left when some were taken: another value for a place that has got one is none. */
export function left(proposals: readonly Proposal[], taken: readonly Proposal[]): Proposal[] {
  return proposals.filter((proposal) => !taken.some((other) => placeOf(other) === placeOf(proposal)));
}

/** The ticked ones after one was ticked or unticked: one value for each place. */
export function toggled(ticked: readonly Proposal[], proposal: Proposal, on: boolean): Proposal[] {
  const others = ticked.filter((other) => (on ? placeOf(other) !== placeOf(proposal) : other !== proposal));
  return on ? [...others, proposal] : others;
}
