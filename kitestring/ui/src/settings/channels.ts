/**
 * Notification channels: an address that is set once, and the events that it is told of. The server keeps an address for
 * each event, as Airbyte's API has it; a channel is what the events of one way have in common.
 */

export interface StoredChannel {
  enabled?: boolean;
  url?: string;
  urls?: string[];
  to?: string[];
}
export const WAYS = ['webhook', 'email', 'apprise'] as const;
export type Way = (typeof WAYS)[number];
export type Stored = Record<string, Partial<Record<Way, StoredChannel>>>;

export const EVENTS = [
  'failure',
  'suspicious',
  'success',
  'connectionUpdate',
  'connectionUpdateActionRequired',
  'syncDisabledWarning',
  'syncDisabled',
  'replicationSlot',
] as const;
export type Event = (typeof EVENTS)[number];

export interface Channel {
  way: Way;
  /** The addresses, separated by commas; e-mail without any reaches all users of the workspace. */
  address: string;
  events: Event[];
  /** Events that have another address than this one. Only the API sets such. */
  differing: Event[];
}

const splitList = (text: string) => text.split(/[\s,]+/).filter(Boolean);

export function addressOf(channel: StoredChannel | undefined): string {
  return channel?.url ?? (channel?.to ?? channel?.urls ?? []).join(', ');
}

function stored(way: Way, address: string, enabled: boolean): StoredChannel {
  if (way === 'webhook') return { enabled, url: address.trim() };
  return way === 'email' ? { enabled, to: splitList(address) } : { enabled, urls: splitList(address) };
}

/** The addresses of a channel, for one test each. */
export function addresses(way: Way, address: string): string[] {
  return way === 'webhook' ? [address.trim()] : splitList(address);
}

const AS_FAILURE: readonly Event[] = ['suspicious', 'replicationSlot'];

/** Where these events have no channels of their own, the server takes those of a failure. */
function ofEvent(notifications: Stored, event: Event): Partial<Record<Way, StoredChannel>> {
  const own = notifications[event];
  if (AS_FAILURE.includes(event) && (!own || Object.keys(own).length === 0)) return notifications.failure ?? {};
  return own ?? {};
}

/** The channel of a way. Its address is the one that most of its events have. */
export function channelOf(notifications: Stored, way: Way): Channel {
  const byEvent = EVENTS.map((event) => [event, ofEvent(notifications, event)[way]] as const);
  const known = byEvent.filter(([, channel]) => channel !== undefined);
  // An address that is in use has priority over one that is switched off.
  const candidates = known.some(([, channel]) => channel?.enabled) ? known.filter(([, channel]) => channel?.enabled) : known;
  const times = new Map<string, number>();
  for (const [, channel] of candidates) times.set(addressOf(channel), (times.get(addressOf(channel)) ?? 0) + 1);
  const address = [...times].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
  const enabled = byEvent.filter(([, channel]) => channel?.enabled);
  return {
    way,
    address,
    events: enabled.map(([event]) => event),
    differing: enabled.filter(([, channel]) => addressOf(channel) !== address).map(([event]) => event),
  };
}

/**
 * The notifications with a changed channel, in the server's form: each event is written, so that none falls back to the
 * channels of another. An event keeps an address of its own while it stays ticked.
 */
export function withChannel(notifications: Stored, channel: Channel): Stored {
  const changed: Stored = {};
  for (const event of EVENTS) {
    const before = ofEvent(notifications, event);
    const enabled = channel.events.includes(event);
    const keeps = enabled && channel.differing.includes(event) && before[channel.way]?.enabled;
    changed[event] = { ...before, [channel.way]: keeps ? before[channel.way] : stored(channel.way, channel.address, enabled) };
  }
  return changed;
}
