/** Finds the word that a person most likely meant. Pure; quadratic in short words. */

/** Single-character insertions, deletions and replacements between two words. */
const editDistance = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
};

/** The nearest known word, when it is near enough to be meant: a third of it wrong, or one is the start of the other. */
export const didYouMean = (word: string, known: readonly string[]): string | undefined => {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((left, right) => left.distance - right.distance);
  const nearest = ranked[0];
  if (nearest !== undefined && nearest.distance <= Math.max(1, Math.floor(nearest.candidate.length / 3)))
    return nearest.candidate;
  // Three characters: shorter starts fit half of the words.
  if (word.length < 3) return undefined;
  return ranked.find(({ candidate }) => candidate.startsWith(word) || word.startsWith(candidate))?.candidate;
};
