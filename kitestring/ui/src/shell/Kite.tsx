/** The mark of Kitestring, for a dark ground. (public/kite.svg is the one for a browser's tab.) */
export function Kite({ size = 30 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden focusable="false">
      <path d="M18 2 28.5 11.5 17 22.5 7.5 10.5Z" fill="#35a6b7" />
      <path d="M18 2 17 22.5 7.5 10.5Z" fill="#8fdbe5" />
      <path d="M17 22.5 7.5 10.5 17.6 10.9Z" fill="#5cc2d0" />
      <path d="M17 22.5c-1.2 2.2 1.6 3 .2 5-1.5 2.1-5.6.6-7.7.4-2-.2-3.5.6-4.5 2.1" stroke="var(--kite-tail)" strokeWidth="1.9" strokeLinecap="round" />
    </svg>
  );
}
