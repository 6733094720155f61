namespace Collective.Stress.Churn;

/// <summary>Whether those who are blamed were hit: the peers that are evicted, and the peer or link that the error of an aborted call names.</summary>
internal sealed class BlameJudge(StrikeBook strikes)
{
    private readonly List<string> _innocentEvictions = [];
    private readonly List<string> _wrongBlames = [];

    public IReadOnlyList<string> InnocentEvictions => _innocentEvictions;

    public IReadOnlyList<string> WrongBlames => _wrongBlames;

    public int RightBlames { get; private set; }

    public void OnEvicted(long at, string text, Func<string, bool> isKnown)
    {
        if (MasterWatch.PeersIn(text) is not [var peer, ..] || !strikes.WasSilenced(peer, at, isKnown(peer)))
        {
            _innocentEvictions.Add(text);
        }
    }

    /// <summary>Only a misfit may be dismissed.</summary>
    public void OnDismissed(long at, string text, Func<string, bool> isKnown)
    {
        if (MasterWatch.PeersIn(text) is not [var peer, ..] || !strikes.WasHit(peer, at, isKnown(peer), ChurnKind.Join))
        {
            _innocentEvictions.Add(text);
        }
    }

    /// <summary>A peer says that it cannot do its part: only one that gets no descriptors may.</summary>
    public void OnFaulted(long at, string text)
    {
        if (MasterWatch.PeersIn(text) is not [var peer, ..] || !strikes.WasStarved(peer, null, at))
        {
            _innocentEvictions.Add(text);
        }
    }

    /// <summary>
    /// The sentence of an aborted call names who was lost, or a link between two living peers. A link is explained by anything done to one of its ends;
    /// a loss only by what was done to the peer that is said to be lost.
    /// </summary>
    public void OnAborted(long at, string text, Func<string, bool> isKnown)
    {
        var named = MasterWatch.PeersIn(text);
        var isLink = text.Contains("the link from", StringComparison.OrdinalIgnoreCase);
        var suspects = isLink ? named : named.Take(1);
        if (suspects.Any(peer => strikes.WasHit(peer, at, isKnown(peer))))
        {
            RightBlames++;
        }
        else
        {
            _wrongBlames.Add(text);
        }
    }
}
