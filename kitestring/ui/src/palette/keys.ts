/**
 * The keys of the interface. They do nothing while one types, in a dialog, or with Ctrl, Alt or ⌘ (except Ctrl-K).
 *
 * A button of a page that has a key names it with `aria-keyshortcuts`; a search field that `/` goes to is an input of
 * the type `search`, has `data-search`, or begins its label with “Search”.
 */
import { t } from '../text';

export interface KeyActions {
  openPalette: () => void;
  openHelp: () => void;
  newConnection: () => void;
}

/** The keys as the help shows them. */
export function keyTexts(): [string, string][] {
  return [
    [t('Ctrl K or ⌘ K'), t('Go to a page, a connection, a source or a destination, or run an action')],
    ['/', t('Search on this page')],
    ['c', t('New connection')],
    ['s', t('Sync the open connection')],
    ['j  k', t('Next and previous row of a list')],
    ['?', t('These keys')],
  ];
}

type KeyPress = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'defaultPrevented' | 'isComposing'>;

/** What a key means, or null: `typing` says whether the focus is in a field or a dialog is open. */
export function meaningOf(press: KeyPress, typing: boolean): 'palette' | 'search' | 'create' | 'sync' | 'next' | 'previous' | 'help' | null {
  if (press.defaultPrevented || press.isComposing || press.altKey) return null;
  if (press.ctrlKey || press.metaKey) return press.key.toLowerCase() === 'k' ? 'palette' : null;
  if (typing) return null;
  return ({ '/': 'search', c: 'create', s: 'sync', j: 'next', k: 'previous', '?': 'help' } as const)[press.key] ?? null;
}

const REST_OF_TEXT_MS = 1500;
let typedMs = -Infinity;

/** Whether a key belongs to a text whose field has gone while it was typed: it must not run an action. `sinceMs`: since its last letter. */
export function continuesText(key: string, sinceMs: number): boolean {
  return key.length === 1 && sinceMs < REST_OF_TEXT_MS;
}

/** Keys after a click are no rest of a text. */
export function endText(): void {
  typedMs = -Infinity;
}

export function handleKey(event: KeyboardEvent, actions: KeyActions): void {
  const inField = isTyping(event.target);
  const typing = inField || document.querySelector('[role=dialog], [role=menu]') !== null;
  const meaning = meaningOf(event, typing);
  const continued = !event.ctrlKey && !event.metaKey && continuesText(event.key, event.timeStamp - typedMs);
  // Who leaves the field by a key does not type into it any more.
  if (event.key === 'Escape' || event.key === 'Tab') endText();
  else if (continued || (inField && (event.key.length === 1 || event.key === 'Enter'))) typedMs = event.timeStamp;
  if (meaning === null || (continued && !inField)) return;
  const handled = {
    palette: () => run(actions.openPalette),
    help: () => run(actions.openHelp),
    create: () => run(actions.newConnection),
    search: focusSearch,
    sync: () => press('s'),
    next: () => moveRow(1),
    previous: () => moveRow(-1),
  }[meaning]();
  if (handled) event.preventDefault();
}

function run(action: () => void): true {
  action();
  return true;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
}

function focusSearch(): boolean {
  const label = CSS.escape(t('Search'));
  const fields = document.querySelectorAll<HTMLInputElement>(`main :is([data-search], input[type=search], input[aria-label^=${label}], input[placeholder^=${label}])`);
  const field = [...fields].find((candidate) => candidate.offsetParent !== null && !candidate.disabled);
  field?.focus();
  field?.select();
  return field !== undefined;
}

function press(key: string): boolean {
  const button = document.querySelector<HTMLButtonElement>(`main button[aria-keyshortcuts=${key}]:not(:disabled)`);
  button?.click();
  return button !== null;
}

/** Move the focus to the first link of the next row. */
function moveRow(step: 1 | -1): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>('main :is(tbody tr, [role=row], [role=listitem], li, [data-row])')].filter(
    (row) => row.offsetParent !== null && linkOf(row) !== null,
  );
  if (rows.length === 0) return false;
  const current = rows.findIndex((row) => row.contains(document.activeElement));
  const next = current < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(current + step, 0), rows.length - 1);
  const link = linkOf(rows[next]!);
  link?.focus();
  link?.scrollIntoView({ block: 'nearest' });
  return true;
}

function linkOf(row: HTMLElement): HTMLElement | null {
  return row.querySelector<HTMLElement>('a[href]');
}
