namespace Collective.Stress.Churn;

/// <summary>One planned event. The draws, from 0 up to 1, decide all that is left open, when its time has come.</summary>
/// <param name="At">Time since the beginning of the run.</param>
/// <param name="Kind">Draw for what happens.</param>
/// <param name="Target">Draw for whom it happens to.</param>
/// <param name="Length">Draw for how long.</param>
/// <param name="Detail">Draw for how.</param>
internal readonly record struct PlannedEvent(TimeSpan At, double Kind, double Target, double Length, double Detail);

/// <summary>
/// The events of a run, from its seed: the times, and draws for everything else. Whom they hit depends on who is there by then, and that on the machine.
/// </summary>
internal sealed class ChurnSchedule(int seed, double rate)
{
    // As in the reference's stress test: of the events that change the number of peers, six in ten are joins.
    private const double JoinWeight = 0.6;

    private readonly Random _random = new(seed);
    private readonly Random _misfits = new(~seed);
    private bool _noMore;
    private TimeSpan _at;

    /// <summary>The next event; null when none is to come.</summary>
    public PlannedEvent? Next()
    {
        if (rate <= 0)
        {
            return null;
        }

        _at += TimeSpan.FromSeconds(-Math.Log(1 - _random.NextDouble()) / rate);
        return new PlannedEvent(_at, _random.NextDouble(), _random.NextDouble(), _random.NextDouble(), _random.NextDouble());
    }

    /// <summary>What is wrong with the next newcomer, if anything; drawn apart, so that the events of a seed stay.</summary>
    public MisfitKind? Misfit(double share)
    {
        var kinds = Enum.GetValues<MisfitKind>();
        var draw = _misfits.NextDouble();
        return draw < share && !_noMore ? kinds[_misfits.Next(kinds.Length)] : null;
    }

    public void EndMisfits() => _noMore = true;

    /// <summary>What happens: a join where so few peers are left that they need company, else one of the mix; null when nothing of it can happen.</summary>
    public static ChurnKind? Choose(double draw, IReadOnlyList<ChurnKind> mix, int peers, int peersMax)
    {
        var mayJoin = mix.Contains(ChurnKind.Join) && peers < peersMax;
        if (peers <= ChurnPlan.Founders && mayJoin && draw < JoinWeight)
        {
            return ChurnKind.Join;
        }

        var weights = mix.Select(kind => (Kind: kind, Weight: Weight(kind, mix, mayJoin))).ToList();
        var left = draw * weights.Sum(entry => entry.Weight);
        foreach (var (kind, weight) in weights)
        {
            left -= weight;
            if (weight > 0 && left < 0)
            {
                return kind;
            }
        }

        return null;
    }

    private static double Weight(ChurnKind kind, IReadOnlyList<ChurnKind> mix, bool mayJoin) => kind switch
    {
        ChurnKind.Join when !mayJoin => 0,
        ChurnKind.Join => JoinWeight / (1 - JoinWeight) * mix.Count(other => other is ChurnKind.Kill or ChurnKind.Leave),
        _ => 1,
    };
}
