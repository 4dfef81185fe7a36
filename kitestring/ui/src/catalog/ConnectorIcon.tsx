/** The icon of a connector: its vendor's, else a monogram in the vendor's colour. The connector's name stands beside it. */
import { useSyncExternalStore } from 'react';

import { inkOn, monogram } from './monogram';

interface IconFile {
  /** By brand: the colour as six hex digits, and the path in a square of 24. */
  brands: Record<string, string[]>;
  /** The brand of each connector type. */
  connectors: Record<string, string>;
  /** The vendors' colours of connector types without a brand. */
  colours: Record<string, string>;
}

type Part = 'ours' | 'airbyte';
const LOADERS: Record<Part, () => Promise<{ default: IconFile }>> = {
  ours: () => import('./icons.ours.json'),
  airbyte: () => import('./icons.airbyte.json'),
};
const files: Partial<Record<Part, IconFile>> = {};
const requested = new Set<Part>();
const listeners = new Set<() => void>();
let version = 0;

function load(part: Part): void {
  if (requested.has(part)) return;
  requested.add(part);
  LOADERS[part]()
    .then((file) => (files[part] = file.default))
    // Icons are no reason to fail: the monograms stay.
    .catch(() => (files[part] = { brands: {}, connectors: {}, colours: {} }))
    .finally(() => {
      version += 1;
      for (const listener of listeners) listener();
    });
}

// Requested with the page's code: icons that come after the rows render each row twice.
load('ours');

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The type in a name: `airbyte/source-acme-help:1.2` and `acme_help` are acme-help. */
export function iconType(type: string): string {
  return type
    .toLowerCase()
    .replace(/^.*\//, '')
    .replace(/[:@].*$/, '')
    .replace(/^(source|destination)-/, '')
    .replaceAll('_', '-');
}

/** The brand of a connector: undefined until the file that may have it is loaded, null without any. */
function brandOf(type: string): string[] | null | undefined {
  for (const part of ['ours', 'airbyte'] as const) {
    const file = files[part];
    if (!file) {
      load(part);
      return undefined;
    }
    const brand = file.connectors[type];
    if (brand) return file.brands[brand] ?? null;
    // The file knows the connector, and that its vendor has no free icon.
    if (file.colours[type]) return null;
  }
  return null;
}

export function ConnectorIcon({
  type,
  name = '',
  svg = '',
  size = 24,
}: {
  /** The connector's type, or its image. */
  type: string;
  /** The connector's name, for the letters of a monogram. */
  name?: string;
  /** An icon that the connector brings. */
  svg?: string;
  size?: number;
}) {
  useSyncExternalStore(subscribe, () => version);
  if (svg.startsWith('<'))
    return <img src={`data:image/svg+xml,${encodeURIComponent(svg)}`} alt="" width={size} height={size} style={{ flexShrink: 0 }} />;
  const normalized = iconType(type);
  const brand = brandOf(normalized);
  const letters = monogram(normalized, name, files.ours?.colours[normalized] ?? files.airbyte?.colours[normalized]);
  const colour = brand?.[0] ?? letters.colour;
  return (
    <svg width={size} height={size} viewBox="0 0 40 40" aria-hidden data-connector-icon={normalized} style={{ flexShrink: 0, display: 'block' }}>
      <rect
        x="0.5"
        y="0.5"
        width="39"
        height="39"
        rx="8.5"
        fill={brand === undefined ? 'var(--mantine-color-default-border)' : `#${colour}`}
        stroke="var(--mantine-color-default-border)"
        strokeOpacity="0.6"
      />
      {brand && <path d={brand[1]} transform="translate(8 8)" fill={inkOn(colour, 1.9)} />}
      {brand === null && (
        <text x="20" y="20" dy="0.36em" textAnchor="middle" fontSize="17" fontWeight="650" fill={inkOn(colour)}>
          {letters.letters}
        </text>
      )}
    </svg>
  );
}
