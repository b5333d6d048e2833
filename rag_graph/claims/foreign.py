"""Words of other languages than English of which only one holds of the same thing, by what they mean."""

_CHOICES = """
gestiegen steigt stieg erhöht zugenommen gewachsen augmenté augmente aumentó aumenta aumentado aumentou aumentato
aumentata creció cresceu cresciuto gestegen wzrosła wzrósł wzrosło ökade økte steg выросли вырос выросла
увеличился увеличилась зросли зріс зросла | gefallen sinkt sank gesunken verringert abgenommen geschrumpft diminué
diminue baissé disminuyó disminuye disminuido diminuiu diminui diminuito diminuita bajó caiu calato gedaald spadła
spadł spadło minskade sjönk faldt упали упал упала снизился снизилась впали впав впала;
offen geöffnet ouvert ouverte abierto abierta aberto aberta aperto aperta geopend otwarty otwarta öppen öppet åben
åpen открыт открыта відкрито відчинено | geschlossen gesperrt fermé fermée cerrado cerrada fechado fechada chiuso
chiusa gesloten zamknięty zamknięta stängd stängt lukket закрыт закрыта закрито зачинено;
erlaubt gestattet zulässig autorisé autorisée permis permise permitido permitida permesso permessa consentito
consentita toegestaan dozwolone dozwolony tillåtet tilladt tillatt разрешено разрешён разрешен дозволено |
verboten untersagt unzulässig interdit interdite prohibido prohibida proibido proibida vietato vietata verboden
zabronione zabroniony förbjudet forbudt запрещено запрещён запрещен заборонено;
vorgeschrieben verpflichtend obligatorisch obligatoire obligatorio obligatoria obrigatório obrigatória
obbligatorio obbligatoria verplicht obowiązkowe обязательно | freiwillig fakultativ facultatif facultative
opcional facoltativo facoltativa optioneel dobrowolne необязательно;
aktiviert eingeschaltet activé activée activado activada ativado ativada attivato attivata ingeschakeld włączone
включено включён | deaktiviert ausgeschaltet désactivé désactivée desactivado desactivada desativado desativada
disattivato disattivata uitgeschakeld wyłączone выключено выключен отключено;
linke linken gauche izquierda esquerda sinistra vänster venstre слева
| rechte rechten droite derecha direita destra höger справа;
vormittags morgens matin mañana manhã mattina утра | nachmittags abends soir tarde noche noite вечера;
gewinn bénéfice ganancia lucro guadagno winst прибыль | verlust perte pérdida perda prejuízo perdita verlies
убыток;
angenommen genehmigt bewilligt approuvé aprobó aprobado aprovou approvato goedgekeurd одобрил одобрена | abgelehnt
verworfen rejeté refusé rechazó rechazado rejeitou respinto afgewezen отклонил отклонена;
erfolgreich réussi exitoso riuscito geslaagd успешно | erfolglos gescheitert échoué fracasado fallito mislukt;
montag | dienstag | mittwoch | donnerstag | freitag | samstag | sonntag;
lundi | mardi | mercredi | jeudi | vendredi | samedi | dimanche;
lunes | martes | miércoles | jueves | viernes | sábado | domingo;
lunedì | martedì | mercoledì | giovedì | venerdì | sabato | domenica;
mieter | vermieter;
käufer | verkäufer;
arbeitgeber | arbeitnehmer;
kostenlos | kostenpflichtig;
täglich | wöchentlich | monatlich | jährlich;
links | rechts;
locataire | bailleur propriétaire;
acheteur | vendeur;
gratuit gratuite | payant payante;
arrendador | arrendatario inquilino;
comprador | vendedor;
locatore | conduttore
"""
"""Hardly a word of them is an English one, or another language's for something else. Small ones are in `glossary`."""

FOREIGN_ALTERNATIVES = tuple(tuple(" ".join(side.split()) for side in row.split("|")) for row in _CHOICES.split(";"))
"""Each row is one choice, each side of it those that say the same."""
