using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>Rules judged on the source files.</summary>
[TestFixture]
internal sealed class SourceTests
{
    private static readonly IReadOnlyList<SourceFile> s_product = Repository.Sources(HouseRules.ProductFolders);
    private static readonly IReadOnlyList<SourceFile> s_stress = Repository.Sources("stress");
    private static readonly IReadOnlyList<SourceFile> s_tests = Repository.Sources("tests");

    [Test]
    public void Sources_are_found()
    {
        Assert.That(s_product.Select(file => file.Path), Has.Member("Collective.Core/Protocol/ErrorCode.cs"));
        Assert.That(s_tests.Select(file => file.Path), Has.Member("tests/Collective.Architecture/SourceTests.cs"));
    }

    [Test]
    public void Methods_are_short()
    {
        IReadOnlyList<SourceFile> all = [.. s_product, .. s_stress, .. s_tests];
        Guide.IsObeyed($"House style 15: methods of at most {HouseRules.MethodLinesMax} lines.", SourceRules.LongMethods(all).Concat(SourceRules.LongPrograms(all)));
    }

    [Test]
    public void Files_are_short()
    {
        var product = SourceRules.LongFiles([.. s_product, .. s_stress], HouseRules.FileLinesMax);
        var tests = SourceRules.LongFiles(s_tests, HouseRules.TestFileLinesMax);
        Guide.IsObeyed("House style 15: files of about 400 lines.", product.Concat(tests));
    }

    [Test]
    public void Words_are_those_of_the_glossary()
        => Guide.IsObeyed("House style 2: one word per thing.", Glossary.Check(s_product));

    [Test]
    public void Nothing_waits_by_letting_time_pass()
        => Guide.IsObeyed("Guarantee G4 and house style 8: wait for events, with deadlines.", SourceRules.WaitingByTime(s_product));

    [Test]
    public void No_test_sleeps_to_wait()
        => Guide.IsObeyed("House style 4: no test sleeps to wait.", SourceRules.SleepingTests(s_tests));

    [Test]
    public void Limits_live_in_one_file()
    {
        var core = s_product.Where(file => file.Path.StartsWith(HouseRules.Core + "/", StringComparison.Ordinal));
        Guide.IsObeyed("House style 8: all limits live in one file.", SourceRules.ScatteredLimits(s_product).Concat(SourceRules.LimitsElsewhere(core)));
    }

    [Test]
    public void Projects_reference_only_whom_they_may()
        => Guide.IsObeyed("House style 1: who may use whom, between projects.", ProjectRules.Check(ProjectRules.Load()));
}
