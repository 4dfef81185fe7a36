/** The shapes of the server's answers that the pages read. `docs/reference/own-api.md` lists the routes. */

export type JobStatus = 'pending' | 'running' | 'incomplete' | 'succeeded' | 'suspicious' | 'failed' | 'cancelled';

export interface Problem {
  type: string;
  message: string;
  hint: string;
}

export interface Job {
  jobId: number;
  connectionId: string;
  connectionName?: string;
  workspaceId: string;
  kind: 'sync' | 'refresh' | 'clear' | 'backfill';
  status: JobStatus;
  cause: string;
  options: Record<string, unknown>;
  attempts: number;
  records: number;
  bytes: number;
  error: Problem | null;
  cancelRequested: boolean;
  worker: string | null;
  createdAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  runAfterMs: number | null;
}

/** Counts and figures by name: read, written, embedded, reused, tokens, … */
export type Figures = Record<string, number>;

export interface StreamResult {
  status: string;
  read?: number;
  written?: number;
  unchanged?: number;
  deleted?: number;
  rejected?: number;
  superseded?: number;
  filtered?: number;
  bytes?: number;
  seconds?: number;
  records_per_s?: number;
  lag_s?: number | null;
  figures?: Figures;
  suspicions?: string[];
  error?: Problem | null;
}

export interface Attempt {
  number: number;
  status: string;
  worker: string;
  startedAtMs: number;
  endedAtMs: number | null;
  progress: { seconds?: number; streams?: Record<string, StreamResult>; waiting?: { reason?: string; seconds: number } } | null;
  streams: Record<string, StreamResult> | null;
  error: Problem | null;
}

export interface WholeJob extends Job {
  history: Attempt[];
}

export interface Timing {
  scheduleType: 'manual' | 'basic' | 'cron';
  basicTiming?: string;
  cronExpression?: string;
}

export interface End {
  id: string;
  name: string;
  connector: string;
}

export interface Overview {
  connectionId: string;
  workspaceId: string;
  name: string;
  status: string;
  statusReason: string;
  failures: number;
  source: End;
  destination: End;
  schedule: Timing;
  nextRunAtMs: number | null;
  streamCount: number;
  deciding: boolean;
  job: (Job & { figures: Figures }) | null;
}

export interface ConfiguredStream {
  key: string;
  name: string;
  namespace?: string;
  syncMode?: string;
  cursorField?: string[];
  primaryKey?: string[][];
  selectedFields?: { fieldPath: string[] }[];
  destinationObjectName?: string | null;
  mappers?: { type: string }[];
  last: (StreamResult & { jobId: number; kind: string; endedAtMs: number | null }) | null;
}

export interface Changes {
  newStreams: string[];
  goneStreams: string[];
  newFields: string[];
  goneFields: string[];
  otherTypes: string[];
  breaking: string[];
}

export interface WholeConnection extends Overview {
  schemaPolicy: string;
  prefix: string;
  namespaceDefinition: string;
  namespaceFormat: string | null;
  managedBy: string;
  createdAtMs: number;
  tags: { tagId: string; name: string; color: string }[];
  changes: Changes | null;
  streams: ConfiguredStream[];
}

export interface LogEntry {
  at_ms: number;
  level: string;
  logger?: string;
  message: string;
  attempt?: number;
  [field: string]: unknown;
}
