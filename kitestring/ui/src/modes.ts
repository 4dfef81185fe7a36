/** How a stream is read and written: Airbyte's sync modes, from the server's own table (tests/test_write_modes.py makes
 * modes.json of it). */
import table from './modes.json';

interface Mode {
  name: string;
  reads: string;
  writes: string;
  title: string;
  note: string;
  needsKey: boolean;
}

const DEFAULT = 'full_refresh_overwrite';

export const MODES: Record<string, Mode> = Object.fromEntries(table.map((mode) => [mode.name, mode]));

export const modeLabel = (name: string) => MODES[name]?.title ?? name.replaceAll('_', ' ');

/** The mode as the way to read and the way to write. */
export function modeWords(name: string | undefined): string {
  const mode = MODES[name ?? DEFAULT];
  return mode ? `${mode.reads} · ${mode.writes}`.replaceAll('_', ' ') : (name ?? '');
}

export const needsKey = (name: string) => MODES[name]?.needsKey ?? false;

export const isIncremental = (name: string | undefined) => MODES[name ?? DEFAULT]?.reads === 'incremental';
