const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const shortDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** The time of day, "14:05". */
export function timeOf(at: number): string {
  return clock.format(at);
}

/** Everything, for those who hover. */
export function momentOf(at: number): string {
  return whole.format(at);
}

/** The day as a heading: "Today", "Yesterday", "Monday, 3 March". */
export function dayOf(at: number, now = Date.now()): string {
  const days = Math.round((midnight(now) - midnight(at)) / 86_400_000);
  return days === 0 ? 'Today' : days === 1 ? 'Yesterday' : dayOfYear.format(at);
}

/** As short as a list of conversations has room for. */
export function whenOf(at: number, now = Date.now()): string {
  return midnight(at) === midnight(now) ? timeOf(at) : shortDay.format(at);
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}
