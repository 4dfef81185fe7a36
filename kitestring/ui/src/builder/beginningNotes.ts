/** What the server noted while it made a manifest: shown once, on the page of the new project. */

const PREFIX = 'kitestring.builder.notes.';

export function keepNotes(projectId: string, notes: readonly string[]): void {
  if (notes.length === 0) return;
  try {
    sessionStorage.setItem(PREFIX + projectId, JSON.stringify(notes));
  } catch {
    // The storage is full or switched off: the notes are a help, no need.
  }
}

export function notesOf(projectId: string): string[] {
  try {
    const notes: unknown = JSON.parse(sessionStorage.getItem(PREFIX + projectId) ?? '[]');
    return Array.isArray(notes) ? notes.map(String) : [];
  } catch {
    return [];
  }
}

export function dropNotes(projectId: string): void {
  sessionStorage.removeItem(PREFIX + projectId);
}
