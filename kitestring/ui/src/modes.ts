/** How a stream is read and written: Airbyte's sync modes, from the server's own table (tests/test_write_modes.py makes
 * modes.json of it). */
import table from './modes.json';

import { t } from './text';

interface Mode {
  name: string;
  reads: string;
  writes: string;
  title: string;
  note: string;
  needsKey: boolean;
}

const DEFAULT = 'full_refresh_overwrite';
const MODES: Record<string, Mode> = Object.fromEntries(table.map((mode) => [mode.name, mode]));

export const modeOf = (name: string | undefined): Mode | undefined => MODES[name ?? DEFAULT];

/** Airbyte's name of a mode: “Incremental | Append + Deduped”. */
export function modeLabel(name: string | undefined): string {
  const mode = modeOf(name);
  return mode ? t(mode.title) : (name ?? '').replaceAll('_', ' ');
}

/** What a mode does, in a plain sentence. */
export function modeNote(name: string | undefined): string {
  const mode = modeOf(name);
  return mode ? t(mode.note) : '';
}

export const needsKey = (name: string) => modeOf(name)?.needsKey ?? false;

export const isIncremental = (name: string | undefined) => modeOf(name)?.reads === 'incremental';
