/** Dollars for people: `$0.40`, `$1,068`, and `–` for nothing. From 1,000 on without cents. */
export function usd(amount: number): string {
  if (amount === 0) return '–';
  if (amount > 0 && amount < 0.005) return '<$0.01';
  const digits = Math.abs(amount) >= 999.5 ? 0 : 2;
  return `$${amount.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** A difference with its sign: `+$12.00`, `−$3.10`. */
export function signedUsd(amount: number): string {
  if (Math.abs(amount) < 0.005) return '–';
  return `${amount > 0 ? '+' : '−'}${usd(Math.abs(amount))}`;
}

/** A unit price with as many digits as it needs: `$0.526`, `$0.625 per million`. */
export function unitUsd(amount: number): string {
  if (amount > 0 && amount < 1e-3) return `$${digitsOf(amount * 1e6)} per million`;
  return `$${digitsOf(amount)}`;
}

/** A quantity, such as `1,460` or `13.1 billion`. */
export function quantity(amount: number): string {
  if (amount >= 1e9) return `${short(amount / 1e9)} billion`;
  if (amount >= 1e6) return `${short(amount / 1e6)} million`;
  return amount.toLocaleString('en-US', { maximumFractionDigits: amount < 100 ? 2 : 0 });
}

/** `3 hours`, `1 key`, `12 GB`: units that are no words of their own have no plural. */
export function counted(amount: number, unit: string): string {
  const hasPlural = /[a-z]{3,}$/.test(unit) && amount !== 1;
  return `${quantity(amount)} ${unit}${hasPlural ? 's' : ''}`;
}

/** `35 %`, with the sign of a minus. */
export function percent(part: number): string {
  return `${Math.round(part).toString().replace('-', '−')} %`;
}

function short(amount: number): string {
  return amount.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** At least cents; a price may have more digits. */
function digitsOf(amount: number): string {
  const rounded = Number(amount.toPrecision(6));
  return rounded.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 6 });
}
