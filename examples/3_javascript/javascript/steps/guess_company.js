/** The register did not help: go on with what the address says. The error has been dealt with when it is deleted. */
export const condition = { lead: { domain: String }, $errors: { find_company: { message: String } } };

export const content = async () => {
  console.warn('no company for', data.lead.domain);
  delete data.$errors.find_company;
  data.lead.company = { name: data.lead.domain, known: false };
};
