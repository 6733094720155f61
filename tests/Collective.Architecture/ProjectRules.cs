using System.Xml.Linq;

namespace Collective.Architecture;

/// <summary>Which project references which.</summary>
internal static class ProjectRules
{
    public static IEnumerable<(string Path, XDocument Project)> Load()
        => Repository.Files("", ".csproj").Where(path => !path.StartsWith("tests/", StringComparison.Ordinal)).Select(path => (path, XDocument.Parse(Repository.Read(path), LoadOptions.SetLineInfo)));

    public static IEnumerable<Finding> Check(IEnumerable<(string Path, XDocument Project)> projects)
    {
        foreach (var (path, project) in projects)
        {
            var name = Path.GetFileNameWithoutExtension(path);
            if (!HouseRules.ProjectMayUse.TryGetValue(name, out var allowed))
            {
                yield return new Finding(path, 1, $"{name} is not in the table HouseRules.ProjectMayUse");
                continue;
            }

            foreach (var reference in project.Descendants("ProjectReference"))
            {
                var used = Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/'));
                if (!allowed.Contains(used))
                {
                    yield return new Finding(path, ((System.Xml.IXmlLineInfo)reference).LineNumber, $"{name} must not use {used}");
                }
            }
        }
    }
}
