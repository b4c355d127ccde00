/** What makes a lead worth a telephone call. */
const WANTED = ['logistics', 'retail', 'energy'];

/** Up to 100 points for a company and the text that came with its lead. */
function points(company, message) {
  const staff = company.employees ?? 0;
  const size = staff >= 1000 ? 40 : staff >= 50 ? 20 : 0;
  const industry = WANTED.includes(company.industry) ? 30 : 0;
  return size + industry + (/\b(offer|demo|price)\b/i.test(message ?? '') ? 30 : 0);
}

/** `hot`, `warm` or `cold`. */
const heat = score => (score >= 70 ? 'hot' : score >= 30 ? 'warm' : 'cold');

module.exports = { points, heat };
