/** Whether the name that a user typed is the name that a dialog asks for. Default names have “→”, which no keyboard has: `->` is the same. */
export function isTypedName(typed: string, name: string): boolean {
  const plain = (text: string) => text.replaceAll('->', '→').trim();
  return plain(typed) === plain(name);
}
