namespace Collective.Simulation;

/// <summary>Who can reach whom. What is sent across a cut is not lost but late, as TCP does it: it arrives after the cut has healed, or never.</summary>
internal sealed class Network(Simulator simulator)
{
    /// <summary>The master's place in the network; peers have their index.</summary>
    public const int Master = -1;

    private readonly Dictionary<(int From, int To), int> _cuts = [];
    private readonly Dictionary<(int From, int To), Intervals> _history = [];
    private readonly HashSet<Channel> _parked = [];
    private long _order;

    public bool Passes(int from, int to) => _cuts.Count == 0 || !_cuts.ContainsKey((from, to));

    public long NextOrder() => _order++;

    public void Park(Channel channel) => _parked.Add(channel);

    /// <summary>No packet passes between the two, in either direction; nobody is told.</summary>
    public void Cut(int a, int b, long durationUs)
    {
        foreach (var pair in new[] { (a, b), (b, a) })
        {
            _cuts[pair] = _cuts.GetValueOrDefault(pair) + 1;
            if (!_history.TryGetValue(pair, out var intervals))
            {
                _history.Add(pair, intervals = new Intervals());
            }

            intervals.Add(simulator.NowUs, simulator.NowUs + durationUs);
        }

        simulator.At(durationUs, () => Heal(a, b));
    }

    /// <summary>How long the two were cut within the last stretch of time.</summary>
    public long CutUs(int a, int b, long windowUs)
        => _history.TryGetValue((a, b), out var intervals) ? intervals.Covered(simulator.NowUs - windowUs, simulator.NowUs) : 0;

    public void Flush(Channel channel)
    {
        if (channel.TryFlush())
        {
            _parked.Remove(channel);
        }
    }

    private void Heal(int a, int b)
    {
        foreach (var pair in new[] { (a, b), (b, a) })
        {
            if (--_cuts[pair] == 0)
            {
                _cuts.Remove(pair);
            }
        }

        foreach (var channel in _parked.OrderBy(c => c.Order).ToArray())
        {
            Flush(channel);
        }
    }
}

/// <summary>One direction of one connection: what arrives, arrives in order.</summary>
internal sealed class Channel(Simulator simulator, int from, int to)
{
    private readonly Queue<(Action Arrive, bool IsEnd)> _parked = new();
    private long _lastUs;
    private long _cutUs = long.MaxValue;
    private bool _stalled;
    private bool _closed;
    private bool _dead;

    public long Order { get; } = simulator.Network.NextOrder();

    /// <summary>Sent and not under way yet.</summary>
    public int Waiting => _parked.Count;

    public bool Blocked => _stalled || _parked.Count > 0 || !simulator.Network.Passes(from, to);

    /// <summary>The sender's side of the connection gives up on bytes that nobody acknowledges.</summary>
    public Action? GaveUp { get; set; }

    /// <summary>What had to wait is under way.</summary>
    public Action? Flushed { get; set; }

    public void Send(Action arrive) => Send(arrive, isEnd: false);

    /// <summary>The end of the stream: after all that was sent, or with an abrupt end instead of some of it.</summary>
    public void Close(Action arriveEnd, bool abrupt)
    {
        if (_closed)
        {
            return;
        }

        if (abrupt)
        {
            _parked.Clear();
            _cutUs = simulator.NowUs + simulator.DelayUs();
        }

        Send(arriveEnd, isEnd: true);
        _closed = true;
    }

    /// <summary>Nothing arrives any more, and nobody says so.</summary>
    public void Kill() => _dead = true;

    public void Stall() => _stalled = true;

    public void Resume()
    {
        _stalled = false;
        simulator.Network.Flush(this);
    }

    public bool TryFlush()
    {
        if (_stalled || !simulator.Network.Passes(from, to))
        {
            return false;
        }

        while (_parked.TryDequeue(out var item))
        {
            Schedule(item.Arrive, item.IsEnd);
        }

        Flushed?.Invoke();
        return true;
    }

    private void Send(Action arrive, bool isEnd)
    {
        if (_closed)
        {
            return;
        }

        if (!Blocked)
        {
            Schedule(arrive, isEnd);
            return;
        }

        if (_parked.Count == 0)
        {
            simulator.Network.Park(this);
            if (GaveUp is { } gaveUp)
            {
                simulator.At(simulator.Scenario.TcpGivesUpUs, () => GiveUp(gaveUp));
            }
        }

        _parked.Enqueue((arrive, isEnd));
    }

    private void GiveUp(Action gaveUp)
    {
        if (_parked.Count > 0 && !_closed)
        {
            gaveUp();
        }
    }

    private void Schedule(Action arrive, bool isEnd)
    {
        _lastUs = Math.Max(_lastUs, simulator.NowUs + simulator.DelayUs());
        simulator.At(_lastUs - simulator.NowUs, () =>
        {
            if (!_dead && (isEnd || simulator.NowUs <= _cutUs))
            {
                arrive();
            }
        });
    }
}
