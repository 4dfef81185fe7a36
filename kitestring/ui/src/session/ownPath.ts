/** Only a path of this server: `//elsewhere` and `https://elsewhere` are other sites. */
export function ownPath(back: string | undefined): string {
  return back && /^\/(?![/\\])/.test(back) ? back : '/';
}
