/** Points from the library. The trail keeps why a lead was called, and finds the task by the lead's address. */
export const condition = { lead: { email: String, company: Object, score: null } };

export const content = async () => {
  const { lead } = data;
  lead.score = lib.scoring.points(lead.company, lead.message);
  lead.heat = lib.scoring.heat(lead.score);
  audit.reference({ id: lead.email, name: 'lead' });
  audit.log(`${lead.score} points: ${lead.heat}`, { company: lead.company.name });
  console.log(`${lead.name}: ${lead.score} points`);
};
