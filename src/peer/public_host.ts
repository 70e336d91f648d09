/** Whether an IP address literal is routable in the public internet (RFC 6890 special ranges are not). No I/O. */

const v4 = (host: string): number[] | undefined => {
  const parts = host.split('.').map(Number);
  return parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256)
    ? parts
    : undefined;
};

const publicV4 = ([a = 0, b = 0]: number[]): boolean =>
  !(
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 198 && (b === 18 || b === 19))
  );

/** False for names, onion addresses, private, loopback, link-local and unspecified addresses. */
export const isPublicHost = (host: string): boolean => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  const four = v4(mapped?.[1] ?? host);
  if (four !== undefined) return publicV4(four);
  if (!host.includes(':')) return false;
  const first = Number.parseInt(host.split(':')[0] || '0', 16);
  // 2000::/3 is the space that is given out.
  return first >= 0x2000 && first < 0x4000;
};
